//! The Authorization field: what it is read as can be written, and is read alike again. An input is the field, and the
//! user and the password of another.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fcgate::auth::users::credentials;
use fcgate::message::Credentials;
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(known) = read(&[bytes]) {
        assert!(!known.user.contains(&b':'));
        let decoded = [&*known.user, b":", &*known.password].concat();
        assert!(!decoded.iter().any(u8::is_ascii_control));
        is_read(&decoded, Some(&known));
        assert_eq!(read(&[bytes, bytes]), None);
        assert_eq!(read(&[&[bytes, b", Basic YTpi"].concat()]), None);
        let shown = format!("{known:?}");
        assert_eq!(shown, format!("Credentials({})", known.user.escape_ascii()));
    }
    let colon = bytes.iter().position(|byte| *byte == b':');
    let control = bytes.iter().any(u8::is_ascii_control);
    let expected = colon.filter(|_| !control).map(|colon| Credentials {
        user: bytes[..colon].into(),
        password: bytes[colon + 1..].into(),
    });
    is_read(bytes, expected.as_ref());
});

/// What is encoded is read so, in whatever case its scheme is written.
fn is_read(decoded: &[u8], expected: Option<&Credentials>) {
    let token = STANDARD.encode(decoded);
    for scheme in ["Basic ", "BASIC ", "basic   "] {
        let field = format!("{scheme}{token}");
        let found = read(&[field.as_bytes()]);
        assert_eq!(found.as_ref(), expected.filter(|_| field.len() <= 8192));
    }
}

fn read(fields: &[&[u8]]) -> Option<Credentials> {
    let mut map = HeaderMap::new();
    for field in fields {
        map.append(header::AUTHORIZATION, HeaderValue::from_bytes(field).ok()?);
    }
    credentials(&map)
}

//! Fields of clients, well-formed and not.

use http::HeaderValue;

use super::*;

fn parse(fields: &[&[u8]]) -> Option<Credentials> {
    let mut map = HeaderMap::new();
    for field in fields {
        map.append(
            header::AUTHORIZATION,
            HeaderValue::from_bytes(field).unwrap(),
        );
    }
    credentials(&map)
}

fn basic(decoded: &[u8]) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(decoded)).into_bytes()
}

#[test]
fn a_user_and_a_password_are_read() {
    for (field, user, password) in [
        // RFC 7617 §2 and §2.1.
        (
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Aladdin",
            "open sesame",
        ),
        ("Basic dGVzdDoxMjPCow==", "test", "123£"),
        (
            "bAsIc QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Aladdin",
            "open sesame",
        ),
        (
            "Basic   QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Aladdin",
            "open sesame",
        ),
        ("Basic YTpiOmM=", "a", "b:c"),
        ("Basic YTo=", "a", ""),
        ("Basic OmI=", "", "b"),
        ("Basic Og==", "", ""),
    ] {
        let expected = Credentials {
            user: user.as_bytes().into(),
            password: password.as_bytes().into(),
        };
        assert_eq!(parse(&[field.as_bytes()]), Some(expected), "{field}");
    }
}

#[test]
fn what_is_malformed_is_nobody() {
    let aladdin: &[u8] = b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    // RFC 9110 §11.6.2: the field has one value.
    for fields in [[].as_slice(), &[aladdin, aladdin], &[aladdin, b"Bearer x"]] {
        assert_eq!(parse(fields), None, "{fields:?}");
    }
    for field in [
        "",
        "Basic",
        "Basic ",
        "BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Basic\tQWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Digest username=\"Aladdin\"",
        // Without padding, with too much of it, with a space, in the alphabet of URLs, with bits that no byte needs.
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ===",
        "Basic QWxhZGRpbjpvcGVu IHNlc2FtZQ==",
        "Basic YTo_Pz8_",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==",
        // No colon.
        "Basic QWxhZGRpbg==",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==, Basic YTpi",
    ] {
        assert_eq!(parse(&[field.as_bytes()]), None, "{field}");
    }
    for decoded in [b"a\0:b".as_slice(), b"a:b\n", b"a:\x7f", b"\x1f:"] {
        assert_eq!(parse(&[&basic(decoded)]), None, "{decoded:?}");
    }
}

#[test]
fn a_field_has_8_kib() {
    let decoded = |length| [b"a:".as_slice(), &vec![b'x'; length]].concat();
    let longest = decoded(6136);
    let field = basic(&longest);
    assert!(field.len() <= LONGEST_FIELD && field.len() > LONGEST_FIELD - 8);
    assert_eq!(parse(&[&field]).unwrap().password.len(), 6136);
    assert_eq!(parse(&[&basic(&decoded(6140))]), None);
}

#[test]
fn the_password_is_not_shown() {
    let shown = format!("{:?}", parse(&[b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]));
    assert_eq!(shown, "Some(Credentials(Aladdin))");
}

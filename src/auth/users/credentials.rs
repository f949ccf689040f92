//! The Authorization field of the scheme Basic (RFC 7617).

#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use zeroize::Zeroizing;

use crate::message::Credentials;

/// Limit of the field, in bytes: a user and a password of the greatest length.
const LONGEST_FIELD: usize = 8 * 1024;

/// Parses the Authorization field. `None` where it is missing, of another scheme, malformed, or there are several.
pub fn credentials(fields: &HeaderMap) -> Option<Credentials> {
    let mut lines = fields.get_all(header::AUTHORIZATION).iter();
    let field = lines.next()?.as_bytes();
    // RFC 9110 §11.6.2: the field has one value. With two, the script may read another than we do.
    if lines.next().is_some() || field.len() > LONGEST_FIELD {
        return None;
    }
    // RFC 9110 §11.1: the scheme is case-insensitive; §11.4: spaces separate it from token68.
    let space = field.iter().position(|byte| *byte == b' ')?;
    let (scheme, token) = field.split_at_checked(space)?;
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(token.trim_ascii()).ok()?);
    // RFC 7617 §2: neither part has control characters; the first colon ends the user.
    if decoded.iter().any(u8::is_ascii_control) {
        return None;
    }
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = decoded.split_at_checked(colon)?;
    let password = password.strip_prefix(b":")?;
    Some(Credentials {
        user: user.into(),
        password: password.into(),
    })
}

//! Redaction of secrets: credentials that would grant access to any reader of the log. `secrets =
//! true` disables it.

use std::borrow::Cow;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, LOCATION, PROXY_AUTHORIZATION, REFERER, SET_COOKIE};

use crate::message::percent;

/// Replacement of a secret.
pub(super) const REDACTED: &[u8] = b"redacted";

/// Names of secret parameters in a query or a fragment, case-insensitive. PHP's `user[password]`
/// counts as `password`.
pub(super) const PARAMETERS: [&str; 14] = [
    "access_token",
    "api_key",
    "apikey",
    "auth_token",
    "client_secret",
    "id_token",
    "passwd",
    "password",
    "pass",
    "phpsessid",
    "pwd",
    "refresh_token",
    "secret",
    "token",
];

/// Secret part of a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// None.
    Open,
    /// Parameters of the URI in its value.
    Uri,
    /// Its whole value.
    Secret,
}

impl Secrecy {
    /// Returns the secrecy of the fields of this name.
    pub(super) fn of(name: &HeaderName) -> Self {
        if [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE].contains(name) {
            Self::Secret
        } else if [REFERER, LOCATION].contains(name) {
            Self::Uri
        } else {
            Self::Open
        }
    }
}

/// Returns a URI, or its part from the `?` on, with the values of secret parameters replaced.
pub(super) fn uri(uri: &[u8]) -> Cow<'_, [u8]> {
    let parameters = || uri.split_inclusive(|byte| is_separator(*byte)).skip(1);
    if !parameters().any(|parameter| secret_value(parameter).is_some()) {
        return Cow::Borrowed(uri);
    }
    let mut shown = Vec::with_capacity(uri.len());
    let path = uri.split_inclusive(|byte| is_separator(*byte)).take(1);
    shown.extend(path.flatten());
    for parameter in parameters() {
        match secret_value(parameter) {
            Some((before, after)) => shown.extend([before, REDACTED, after].concat()),
            None => shown.extend_from_slice(parameter),
        }
    }
    Cow::Owned(shown)
}

/// Reports whether a byte separates parameters. OAuth's implicit grant puts its token behind a `#`
/// (RFC 6749 §4.2.2).
fn is_separator(byte: u8) -> bool {
    matches!(byte, b'?' | b'#' | b'&' | b';')
}

/// Returns the bytes before and after the value of a secret parameter.
fn secret_value(parameter: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = parameter.iter().position(|byte| *byte == b'=')?;
    let (name, value) = parameter.split_at_checked(equals)?;
    let after = match value.split_last() {
        Some((last, _)) if is_separator(*last) => std::slice::from_ref(last),
        Some(_) | None => &[],
    };
    let before = parameter.get(..=equals)?;
    (value.len() > after.len() + 1 && is_secret(name)).then_some((before, after))
}

fn is_secret(name: &[u8]) -> bool {
    let decoded = percent::decode(name);
    let mut words = decoded
        .split(|byte| matches!(byte, b'[' | b']'))
        .filter(|word| !word.is_empty());
    words.any(|word| {
        PARAMETERS
            .iter()
            .any(|secret| word.eq_ignore_ascii_case(secret.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_parameters_are_replaced() {
        for (written, expected) in [
            ("/", "/"),
            ("/password=x", "/password=x"),
            ("/?q=token", "/?q=token"),
            ("/?token=abc", "/?token=redacted"),
            ("?token=abc", "?token=redacted"),
            ("/?a=1&Password=x&b=2", "/?a=1&Password=redacted&b=2"),
            ("/?a=1;pwd=x;b=2", "/?a=1;pwd=redacted;b=2"),
            ("/?token=", "/?token="),
            ("/?token", "/?token"),
            ("/?token=a=b", "/?token=redacted"),
            ("/?mytoken=a", "/?mytoken=a"),
            ("/?u[password]=a&x[]=b", "/?u[password]=redacted&x[]=b"),
            ("/?u%5Bp%61ssword%5d=a", "/?u%5Bp%61ssword%5d=redacted"),
            ("/?%=a&%zz=b&token%=c", "/?%=a&%zz=b&token%=c"),
            (
                "https://a/?x#access_token=a&b",
                "https://a/?x#access_token=redacted&b",
            ),
            ("/?secret=a&secret=b", "/?secret=redacted&secret=redacted"),
        ] {
            let shown = uri(written.as_bytes());
            assert_eq!(String::from_utf8_lossy(&shown), expected, "{written}");
        }
    }

    #[test]
    fn nothing_is_copied_without_need() {
        assert!(matches!(uri(b"/?a=1&b=2"), Cow::Borrowed(_)));
    }

    #[test]
    fn fields_are_told_apart() {
        assert_eq!(Secrecy::of(&COOKIE), Secrecy::Secret);
        assert_eq!(Secrecy::of(&REFERER), Secrecy::Uri);
        assert_eq!(Secrecy::of(&http::header::ACCEPT), Secrecy::Open);
    }
}

//! The request line (RFC 9112 §3): `method SP request-target SP HTTP-version`, one space each.

use super::Refusal;
use super::field::is_token;

/// A supported version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

/// Parses the line; returns the version and whether its minor digit must be rewritten to 1, the
/// newest that hyper accepts.
pub(super) fn judge(line: &[u8]) -> Result<(Version, bool), Refusal> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        // HTTP/0.9 among them: RFC 9112 §3 requires a version.
        return Err(Refusal::RequestLine);
    };
    if !is_token(method) {
        return Err(Refusal::RequestLine);
    }
    let version = judge_version(version)?;
    // RFC 9110 §9.3.6: a tunnel would follow, in which no head can be found.
    if method == b"CONNECT" {
        return Err(Refusal::Connect);
    }
    judge_target(target)?;
    Ok(version)
}

/// Parses `HTTP/` DIGIT `.` DIGIT (RFC 9112 §2.3).
fn judge_version(text: &[u8]) -> Result<(Version, bool), Refusal> {
    match text.strip_prefix(b"HTTP/") {
        Some([b'1', b'.', b'0']) => Ok((Version::Http10, false)),
        Some([b'1', b'.', b'1']) => Ok((Version::Http11, false)),
        Some([b'1', b'.', b'2'..=b'9']) => Ok((Version::Http11, true)),
        Some([b'2'..=b'9', b'.', b'0'..=b'9']) => Err(Refusal::Version),
        Some(_) | None => Err(Refusal::RequestLine),
    }
}

/// Checks the form of the target (RFC 9112 §3.2), not its path. A fragment (RFC 3986 §3.5) is never
/// sent, and [`http::Uri`] would cut it off silently.
fn judge_target(target: &[u8]) -> Result<(), Refusal> {
    let is_clean = target
        .iter()
        .all(|byte| matches!(byte, b'!'..=b'~' | 0x80..) && *byte != b'#');
    let has_form = target.starts_with(b"/") || target == b"*" || is_absolute_form(target);
    if !is_clean || !has_form {
        return Err(Refusal::Target);
    }
    Ok(())
}

/// Reports whether the target is in absolute-form (RFC 9112 §3.2.2). Authority-form (§3.2.3) is for CONNECT only.
fn is_absolute_form(target: &[u8]) -> bool {
    [&b"http://"[..], b"https://"].iter().any(|scheme| {
        let rest = target
            .split_at_checked(scheme.len())
            .filter(|(start, _)| start.eq_ignore_ascii_case(scheme));
        rest.is_some_and(|(_, rest)| !matches!(rest.first(), None | Some(b'/' | b'?')))
    })
}

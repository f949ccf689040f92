//! Failures in the words of Apache's error log, which fail2ban's filters look for.

use std::fmt::Write;

use tracing::Level;

use super::{Failure, UnauthorizedReason};
use crate::message::{EncodedSlash, Refusal, Target};

/// A line of Apache's error log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Apache's module.
    pub module: &'static str,
    /// Apache's level: ERROR or INFO.
    pub level: Level,
    /// The code and the message.
    pub text: String,
}

impl Notice {
    /// Returns Apache's line for a failed request; `None` if Apache has none. The request has this `method` and `target`
    /// as received; `limit` is that of a request line, in bytes.
    pub fn of_failure(
        failure: &Failure,
        (method, target): (&str, &str),
        limit: usize,
    ) -> Option<Self> {
        let path = || readable_path(target);
        if let Failure::Unauthorized(unauthorized) = failure {
            return of_user(&unauthorized.reason, &path());
        }
        if let Failure::RequestHead(refusal) = failure {
            return Self::of_refusal(*refusal, limit);
        }
        if let Failure::PathTooLong { limit, .. } = failure {
            return Some(of_long(*limit));
        }
        if matches!(failure, Failure::Target(error) if !error.is_not_found()) {
            return Some(of_invalid(method, target));
        }
        // A name of a script is withheld without a look whether it exists. Who asks for many of them looks for holes, and a
        // broken link is no failure of a login.
        let is_withheld_script = matches!(failure, Failure::Withheld(_)) && is_php(&path());
        if is_denial(failure) && !is_withheld_script {
            let text = format!("AH01630: client denied by server configuration: {}", path());
            return Some(Self::error("authz_core", text));
        }
        let is_missing = is_withheld_script || matches!(failure, Failure::NotFound);
        is_missing.then(|| of_missing(&path()))
    }

    /// Returns Apache's line for a refused head; `limit` is that of its request line, in bytes.
    pub fn of_refusal(refusal: Refusal, limit: usize) -> Option<Self> {
        if refusal == Refusal::RequestLineTooLong {
            return Some(of_long(limit));
        }
        (refusal == Refusal::Target).then(|| {
            let text = "AH00566: request failed: invalid characters in URI";
            Self::error("core", text.to_owned())
        })
    }

    fn error(module: &'static str, text: String) -> Self {
        let level = Level::ERROR;
        Self {
            module,
            level,
            text,
        }
    }
}

/// Reports whether a rule or the configuration refuses the client.
fn is_denial(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Forbidden(_)
            | Failure::Requirement(_)
            | Failure::Withheld(_)
            | Failure::Denied { allow: None, .. }
    )
}

fn of_user(reason: &UnauthorizedReason, path: &str) -> Option<Notice> {
    let (module, text) = match reason {
        UnauthorizedReason::NoCredentials => return None,
        UnauthorizedReason::WrongPassword {
            user,
            is_known: true,
        } => (
            "auth_basic",
            format!(
                "AH01617: user {}: authentication failure for \"{path}\": Password Mismatch",
                readable(user)
            ),
        ),
        UnauthorizedReason::WrongPassword {
            user,
            is_known: false,
        } => (
            "auth_basic",
            format!("AH01618: user {} not found: {path}", readable(user)),
        ),
        UnauthorizedReason::NotAdmitted(user) => (
            "authz_core",
            format!(
                "AH01631: user {}: authorization failure for \"{path}\":",
                readable(user)
            ),
        ),
    };
    Some(Notice::error(module, text))
}

/// Returns the line for a file that does not exist: a script, as mod_php and mod_cgi have it, or any other.
fn of_missing(path: &str) -> Notice {
    let is_cgi = path.starts_with("/cgi-bin/") || path.ends_with(".cgi") || path.ends_with(".pl");
    if is_php(path) {
        Notice::error(
            "php",
            format!("script '{path}' not found or unable to stat"),
        )
    } else if is_cgi {
        Notice::error(
            "cgi",
            format!("AH02811: script not found or unable to stat: {path}"),
        )
    } else {
        Notice {
            module: "core",
            level: Level::INFO,
            text: format!("AH00128: File does not exist: {path}"),
        }
    }
}

fn is_php(path: &str) -> bool {
    path.ends_with(".php") || path.contains(".php/")
}

fn of_invalid(method: &str, target: &str) -> Notice {
    let target = readable(target.as_bytes());
    let text = format!("AH00126: Invalid URI in request {method} {target}");
    Notice::error("core", text)
}

fn of_long(limit: usize) -> Notice {
    let text = format!("AH00565: request failed: URI too long (longer than {limit})");
    Notice::error("core", text)
}

/// Returns the decoded path of a target, as far as it can be parsed.
fn readable_path(target: &str) -> String {
    match Target::parse(target, EncodedSlash::Keep) {
        Ok(parsed) => readable(parsed.path()),
        Err(_) => readable(target.as_bytes()),
    }
}

/// Returns bytes as one word that cannot end a line, a quotation or a word.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'"' | b'\'' | b'\\' => {
                // Writing to a String does not fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
            byte if byte.is_ascii_graphic() => text.push(char::from(*byte)),
            byte => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{HeaderValue, StatusCode};

    use super::*;
    use crate::failure::Unauthorized;
    use crate::message::TargetError;

    fn unauthorized(reason: UnauthorizedReason) -> Failure {
        Failure::Unauthorized(Box::new(Unauthorized {
            status: StatusCode::UNAUTHORIZED,
            reason,
            challenge: HeaderValue::from_static("Basic"),
            place: Arc::from("fcgate.toml:1"),
        }))
    }

    fn wrong(user: &[u8], is_known: bool) -> Failure {
        let user = Arc::from(user);
        unauthorized(UnauthorizedReason::WrongPassword { user, is_known })
    }

    fn check(failure: &Failure, target: &str, expected: &str) {
        let notice = Notice::of_failure(failure, ("GET", target), 8192);
        let shown = notice.map_or_else(
            || "none".to_owned(),
            |notice| format!("{} {} {}", notice.module, notice.level, notice.text),
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn users_have_apaches_words() {
        for (failure, target, expected) in [
            (
                wrong(b"bob", true),
                "/a?b=c",
                "auth_basic ERROR AH01617: user bob: authentication failure for \"/a\": Password Mismatch",
            ),
            (
                wrong(b"b b\n\"", false),
                "/a",
                "auth_basic ERROR AH01618: user b\\x20b\\x0a\\x22 not found: /a",
            ),
            (
                unauthorized(UnauthorizedReason::NotAdmitted(Arc::from(*b"bob"))),
                "/a",
                "authz_core ERROR AH01631: user bob: authorization failure for \"/a\":",
            ),
            (
                unauthorized(UnauthorizedReason::NoCredentials),
                "/a",
                "none",
            ),
        ] {
            check(&failure, target, expected);
        }
    }

    #[test]
    fn refusals_have_apaches_words() {
        for (failure, target, expected) in [
            (
                Failure::Forbidden("a rule"),
                "/%61%0a",
                "authz_core ERROR AH01630: client denied by server configuration: /%61%0a",
            ),
            (
                Failure::NotFound,
                "/wp-login%2Ephp",
                "php ERROR script '/wp-login.php' not found or unable to stat",
            ),
            (
                Failure::Withheld("a script"),
                "/nope.php/x",
                "php ERROR script '/nope.php/x' not found or unable to stat",
            ),
            (
                Failure::Withheld("a dotfile"),
                "/.git/config",
                "authz_core ERROR AH01630: client denied by server configuration: /.git/config",
            ),
            (
                Failure::NotFound,
                "/cgi-bin/x",
                "cgi ERROR AH02811: script not found or unable to stat: /cgi-bin/x",
            ),
            (
                Failure::NotFound,
                "/a.png",
                "core INFO AH00128: File does not exist: /a.png",
            ),
            (
                Failure::Target(TargetError::BadPercent),
                "/%zz",
                "core ERROR AH00126: Invalid URI in request GET /%zz",
            ),
            (
                Failure::PathTooLong {
                    length: 9,
                    limit: 8,
                },
                "/a",
                "core ERROR AH00565: request failed: URI too long (longer than 8)",
            ),
            (Failure::NoSite, "/", "none"),
        ] {
            check(&failure, target, expected);
        }
    }
}

//! A limit of requests as configured: what requests are counted by, and the allowance of each.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;

use super::bucket::Allowance;
use super::{BURST, KEY, REQUESTS_AT_ONCE, REQUESTS_PER_SECOND};
use crate::section::{AnyKey, Lowered, Place, Problem, Problems};

/// A limit of requests.
#[derive(Clone, Debug)]
pub struct RequestLimit {
    /// The attribute of a request by which it is counted.
    pub key: PartitionKey,
    /// The allowance of each partition.
    pub allowance: Allowance,
    /// Source location of `requests_per_second`, as `file:line`.
    rate_place: Arc<str>,
    /// Source location of `requests_at_once`.
    at_once_place: Arc<str>,
}

/// The attribute of requests by which they are divided into partitions, each with an allowance of its own
/// (draft-ietf-httpapi-ratelimit-headers, "partition key").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PartitionKey {
    /// The address of the client; of IPv6 its /64.
    Client,
    /// The value of a field.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(Box<str>),
    /// The authenticated user.
    User,
    /// None: all requests together.
    Site,
}

impl RequestLimit {
    /// Builds the limit from `limits` of a site or a rule; `None` without one. `show` returns a place as `file:line`.
    pub fn build(
        section: &Lowered,
        show: &dyn Fn(&Place) -> String,
        problems: &mut Problems,
    ) -> Option<Self> {
        let allowance = Allowance {
            per_second: section.get(&REQUESTS_PER_SECOND),
            burst: section.get(&BURST),
            at_once: section.get(&REQUESTS_AT_ONCE),
        };
        warn_of_no_effect(section, allowance, problems);
        let text = section.get(&KEY);
        let key = PartitionKey::parse(&text.value)
            .map_err(|message| {
                let problem = Problem::new(text.place, message);
                problems.push(problem.help(KEY_HELP));
            })
            .ok()?;
        let place = |key: &dyn AnyKey| show(&section.place_of(key)).into();
        allowance.has_limit().then(|| Self {
            key,
            allowance,
            rate_place: place(&REQUESTS_PER_SECOND),
            at_once_place: place(&REQUESTS_AT_ONCE),
        })
    }

    /// Reports whether both count the same: a reload continues the counts then.
    pub fn counts_as(&self, other: &Self) -> bool {
        (&self.key, self.allowance) == (&other.key, other.allowance)
    }

    /// Formats the rate with its source location.
    pub fn rate(&self) -> String {
        let (rate, place) = (self.allowance.per_second, &self.rate_place);
        format!("limits.requests_per_second = {rate} ({place})")
    }

    /// Formats the concurrency with its source location.
    pub fn at_once(&self) -> String {
        let (at_once, place) = (self.allowance.at_once, &self.at_once_place);
        format!("limits.requests_at_once = {at_once} ({place})")
    }
}

impl fmt::Display for RequestLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Allowance {
            per_second,
            burst,
            at_once,
        } = self.allowance;
        let rate = (per_second > 0).then(|| format!("{}, burst = {burst}", self.rate()));
        let at_once = (at_once > 0).then(|| self.at_once());
        let limits: Vec<_> = rate.into_iter().chain(at_once).collect();
        write!(f, "{}, key = \"{}\"", limits.join(", "), self.key)
    }
}

impl PartitionKey {
    /// Parses the key as written: `client`, `header:NAME`, `cookie:NAME`, `user` or `site`.
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "client" => Ok(Self::Client),
            None if text == "user" => Ok(Self::User),
            None if text == "site" => Ok(Self::Site),
            Some(("header", name)) => HeaderName::from_bytes(name.as_bytes())
                .map(Self::Header)
                .map_err(|_| format!("`{}` is not the name of a field", name.escape_debug())),
            Some(("cookie", name)) if is_cookie_name(name) => Ok(Self::Cookie(name.into())),
            Some(("cookie", name)) => Err(format!(
                "`{}` is not the name of a cookie",
                name.escape_debug()
            )),
            _ => Err(format!(
                "requests cannot be counted by `{}`",
                text.escape_debug()
            )),
        }
    }

    /// Reports whether a client may choose any value without a proof that it is its own.
    pub(super) fn is_chosen_by_client(&self) -> bool {
        matches!(self, Self::Header(_) | Self::Cookie(_))
    }

    /// Returns the name of the kind: a field or a cookie is not named to clients.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Header(_) => "header",
            Self::Cookie(_) => "cookie",
            Self::User => "user",
            Self::Site => "site",
        }
    }
}

impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Self::Header(name) => write!(f, ":{name}"),
            Self::Cookie(name) => write!(f, ":{name}"),
            Self::Client | Self::User | Self::Site => Ok(()),
        }
    }
}

const KEY_HELP: &str =
    "keys are \"client\", \"header:NAME\", \"cookie:NAME\", \"site\", and in a rule \"user\"";

/// Reports whether a text is a token, as the name of a cookie is (RFC 6265 §4.1.1).
fn is_cookie_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Warns of keys without an effect.
fn warn_of_no_effect(section: &Lowered, allowance: Allowance, problems: &mut Problems) {
    let (rate, at_once) = (&REQUESTS_PER_SECOND, &REQUESTS_AT_ONCE);
    // The value of a wrong key is unknown.
    if section.is_wrong(rate) || section.is_wrong(at_once) {
        return;
    }
    let mut warn = |key: &dyn AnyKey, message: &'static str, help: &'static str| {
        let problem = Problem::new(section.place_of(key), message);
        problems.warn(problem.help(help));
    };
    if section.is_given(&BURST) && allowance.per_second == 0 {
        warn(
            &BURST,
            "`burst` has no effect without `requests_per_second`",
            "set `requests_per_second`, or leave `burst` out",
        );
    }
    if section.is_given(&KEY) && !allowance.has_limit() {
        warn(
            &KEY,
            "`key` has no effect without a limit of requests",
            "set `requests_per_second` or `requests_at_once`, or leave `key` out",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_shown() {
        for (text, shown) in [
            ("client", "client"),
            ("user", "user"),
            ("site", "site"),
            ("header:X-Api-Key", "header:x-api-key"),
            ("cookie:PHPSESSID", "cookie:PHPSESSID"),
        ] {
            let key = PartitionKey::parse(text).unwrap();
            assert_eq!(key.to_string(), shown, "{text}");
            assert_eq!(PartitionKey::parse(shown), Ok(key), "{text}");
        }
        for wrong in [
            "",
            "address",
            "Client",
            "client:",
            "header",
            "header:",
            "header:a b",
            "header:a:b",
            "cookie:",
            "cookie:a=b",
            "cookie:a;b",
            "query:a",
        ] {
            assert!(PartitionKey::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

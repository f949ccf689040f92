//! The query of `/ready`.

use crate::message::percent;

/// Subject of a question about readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::admin) enum Subject {
    /// The gateway.
    Gateway,
    /// An upstream, by its name.
    Upstream(String),
    /// The sites of a host.
    Site(String),
}

impl Subject {
    /// Parses a query: none, `upstream=NAME` or `site=HOST`. Returns `None` for any other.
    pub(in crate::admin) fn parse(query: Option<&str>) -> Option<Self> {
        let Some(query) = query.filter(|query| !query.is_empty()) else {
            return Some(Self::Gateway);
        };
        let (key, value) = query.split_once('=')?;
        if value.contains('&') {
            return None;
        }
        let decoded = percent::decode(value.as_bytes());
        let value = str::from_utf8(&decoded).ok()?.to_owned();
        match key {
            "upstream" => Some(Self::Upstream(value)),
            "site" => Some(Self::Site(value)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_one_subject() {
        let upstream = |name: &str| Some(Subject::Upstream(name.to_owned()));
        for (query, expected) in [
            (None, Some(Subject::Gateway)),
            (Some(""), Some(Subject::Gateway)),
            (Some("upstream=php"), upstream("php")),
            (
                Some("upstream=unix:/run/a%20b.sock"),
                upstream("unix:/run/a b.sock"),
            ),
            (
                Some("site=example.org"),
                Some(Subject::Site("example.org".to_owned())),
            ),
            (Some("upstream="), upstream("")),
            (Some("upstream=%ff"), None),
            (Some("upstream"), None),
            (Some("host=example.org"), None),
            (Some("upstream=a&site=b"), None),
        ] {
            assert_eq!(Subject::parse(query), expected, "{query:?}");
        }
    }
}

//! Variables that PHP cannot read: it parses each PARAMS record by itself (php-src, `fcgi_get_params`), and a
//! record has at most 65 535 bytes (FastCGI §3.3).

use std::fmt;

use super::Responder;
use crate::fastcgi::params::{pair_beyond_record, pair_length};
use crate::fastcgi::record::MAX_CONTENT;
use crate::message::edits::Edits;

/// A variable that is longer than a record, with the origin of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongVariable {
    name: String,
    /// Bytes with the name.
    length: usize,
    /// The origin of the value.
    pub origin: Origin,
}

/// Origin of a variable's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The target of the request.
    Target,
    /// The fields, or another part of the head.
    Head,
    /// Rules, by their places in the configuration.
    Rules(String),
}

/// Fails where `pairs`, all variables of a request, have one that `responder` cannot read; `edits` are the
/// changes made by rules. Applications other than PHP read PARAMS as a stream, as specified: they get all.
pub fn check(
    pairs: &[u8],
    responder: &Responder,
    edits: Option<&Edits>,
) -> Result<(), LongVariable> {
    match responder {
        Responder::Generic => return Ok(()),
        Responder::Fpm | Responder::ApacheFpm(_) => {}
    }
    let Some((name, length)) = pair_beyond_record(pairs) else {
        return Ok(());
    };
    let rules = edits.map(|edits| edits.places_of(name)).unwrap_or_default();
    let origin = match rules.as_slice() {
        [] if FROM_TARGET.contains(&name) => Origin::Target,
        [] => Origin::Head,
        places => Origin::Rules(places.join(", ")),
    };
    Err(LongVariable {
        name: name.escape_ascii().to_string(),
        length,
        origin,
    })
}

/// Returns the problem of the variable `name`, if PHP cannot read it with a value of `length` bytes.
pub fn describe_excess(name: &str, length: usize) -> Option<String> {
    let length = pair_length(name.len(), length);
    (length > MAX_CONTENT).then(|| {
        format!(
            "{name} would take {length} bytes with its name, and PHP reads at most {MAX_CONTENT}"
        )
    })
}

impl fmt::Display for LongVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            length,
            origin,
        } = self;
        match origin {
            Origin::Target => f.write_str("the target is too long")?,
            Origin::Head => f.write_str("the head is too long")?,
            Origin::Rules(places) => {
                write!(f, "the rule at {places} sets a variable that is too long")?
            }
        }
        write!(
            f,
            ": {name} would take {length} bytes with its name, and PHP reads at most {MAX_CONTENT}"
        )
    }
}

/// Variables that depend on the target, or on its changes by rules.
const FROM_TARGET: [&[u8]; 9] = [
    b"DOCUMENT_URI",
    b"PATH_INFO",
    b"PATH_TRANSLATED",
    b"QUERY_STRING",
    b"REDIRECT_QUERY_STRING",
    b"REDIRECT_URL",
    b"REQUEST_URI",
    b"SCRIPT_FILENAME",
    b"SCRIPT_NAME",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fastcgi::params::encode_pair;
    use crate::message::edits::{Assignment, RuleEdits};

    /// Returns the error for a variable of this name whose value has `length` bytes.
    fn error_text(name: &str, length: usize, responder: &Responder) -> Option<String> {
        let mut edits = Edits::default();
        edits.set_rule(RuleEdits {
            place: "site.toml:7".into(),
            environment: vec![Assignment {
                name: "BY_RULE".into(),
                value: Some(Vec::new()),
            }],
            ..RuleEdits::default()
        });
        let mut pairs = Vec::new();
        encode_pair(&mut pairs, b"FIRST", &[b'x'; 60_000]);
        encode_pair(&mut pairs, name.as_bytes(), &vec![b'x'; length]);
        let checked = check(&pairs, responder, Some(&edits));
        checked.err().map(|long| long.to_string())
    }

    #[test]
    fn what_php_cannot_read_is_named() {
        for (name, expected) in [
            (
                "QUERY_STRING",
                "the target is too long: QUERY_STRING would take 70017",
            ),
            (
                "REQUEST_URI",
                "the target is too long: REQUEST_URI would take 70016",
            ),
            (
                "HTTP_COOKIE",
                "the head is too long: HTTP_COOKIE would take 70016",
            ),
            (
                "BY_RULE",
                "the rule at site.toml:7 sets a variable that is too long: BY_RULE would take 70012",
            ),
        ] {
            let expected = format!("{expected} bytes with its name, and PHP reads at most 65535");
            for responder in [
                Responder::Fpm,
                Responder::ApacheFpm(b"proxy:fcgi://localhost".to_vec()),
            ] {
                assert_eq!(
                    error_text(name, 70_000, &responder).as_ref(),
                    Some(&expected)
                );
                assert_eq!(error_text(name, 65_000, &responder), None);
            }
            assert_eq!(error_text(name, 70_000, &Responder::Generic), None);
        }
    }
}

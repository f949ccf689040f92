//! `trusted_fields`: the fields that the trusted proxies write. A proxy passes on all other fields, so that
//! clients choose their values.

use std::fmt;

use crate::section::{At, Key, Problem, Problems};

/// Key of the trusted fields.
pub static TRUSTED_FIELDS: Key<Vec<At<String>>> = Key::texts("trusted_fields", "Fields that every trusted proxy sets or removes: \"x-forwarded-for\", \"x-forwarded-proto\", \"x-forwarded-host\", \"x-forwarded-port\", and \"forwarded\" (RFC 7239) with its parameters `for` and `proto`; \"forwarded-host\" is its parameter `host`; \"x-request-id\"; \"traceparent\" (W3C Trace Context), with its tracestate. The others of these are ignored, and with `untrusted_fields = \"remove\"` none of them reaches PHP. List no field that a proxy passes on unchanged: its value is chosen by the client. If a request has both families, one supplies the values that the other lacks, and a request in which they contradict each other is refused (400).").default("[\"x-forwarded-for\", \"x-forwarded-proto\", \"forwarded\", \"x-request-id\", \"traceparent\"]");

/// A forwarding field, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// X-Forwarded-For.
    For,
    /// X-Forwarded-Proto.
    Proto,
    /// X-Forwarded-Host.
    Host,
    /// X-Forwarded-Port.
    Port,
    /// `for` and `proto` of Forwarded.
    Forwarded,
    /// `host` of Forwarded.
    ForwardedHost,
    /// X-Request-ID.
    RequestId,
    /// traceparent and tracestate.
    Traceparent,
}

/// A set of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedFields(u8);

impl Field {
    const ALL: [Self; 8] = [
        Self::For,
        Self::Proto,
        Self::Host,
        Self::Port,
        Self::Forwarded,
        Self::ForwardedHost,
        Self::RequestId,
        Self::Traceparent,
    ];

    /// Returns the name in the configuration: that of the field, unless it is a part of one.
    pub fn name(self) -> &'static str {
        match self {
            Self::For => "x-forwarded-for",
            Self::Proto => "x-forwarded-proto",
            Self::Host => "x-forwarded-host",
            Self::Port => "x-forwarded-port",
            Self::Forwarded => "forwarded",
            Self::ForwardedHost => "forwarded-host",
            Self::RequestId => "x-request-id",
            Self::Traceparent => "traceparent",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::For => 1,
            Self::Proto => 2,
            Self::Host => 4,
            Self::Port => 8,
            Self::Forwarded => 16,
            Self::ForwardedHost => 32,
            Self::RequestId => 64,
            Self::Traceparent => 128,
        }
    }
}

impl Default for TrustedFields {
    fn default() -> Self {
        Self::of(&[
            Field::For,
            Field::Proto,
            Field::Forwarded,
            Field::RequestId,
            Field::Traceparent,
        ])
    }
}

impl TrustedFields {
    /// Builds the set of some fields.
    pub fn of(fields: &[Field]) -> Self {
        Self(fields.iter().fold(0, |bits, field| bits | field.bit()))
    }

    /// Builds the set from the names of the key; an unknown one is a problem.
    pub fn build(texts: &[At<String>], problems: &mut Problems) -> Self {
        let mut fields = Vec::new();
        for text in texts {
            let word = text.value.to_ascii_lowercase();
            match Field::ALL.into_iter().find(|field| field.name() == word) {
                Some(field) => fields.push(field),
                None => problems.push(unknown(text, &word)),
            }
        }
        let needs_field =
            fields.contains(&Field::ForwardedHost) && !fields.contains(&Field::Forwarded);
        if let Some(text) = texts.first().filter(|_| needs_field) {
            let message = "\"forwarded-host\" is a parameter of Forwarded, and \"forwarded\" is not in the list";
            let help = "trusted_fields = [\"forwarded\", \"forwarded-host\"]";
            problems.push(Problem::new(text.place.clone(), message).help(help));
        }
        Self::of(&fields)
    }

    /// Reports whether the set has a field.
    pub fn has(self, field: Field) -> bool {
        self.0 & field.bit() != 0
    }

    /// Reports whether a field with the scheme is trusted.
    pub fn include_scheme(self) -> bool {
        self.has(Field::Proto) || self.has(Field::Forwarded)
    }
}

impl fmt::Display for TrustedFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = Field::ALL.into_iter().filter(|field| self.has(*field));
        let names: Vec<_> = fields.map(Field::name).collect();
        f.write_str(&names.join(", "))
    }
}

fn unknown(text: &At<String>, word: &str) -> Problem {
    let place = text.place.clone();
    if matches!(word, "any" | "x-forwarded") {
        let message = format!(
            "\"{word}\" is no longer a value, because it let clients choose the host and the port, which few proxies set"
        );
        let help = "list the fields that your proxy sets, as [\"x-forwarded-for\", \"x-forwarded-proto\"], and \"x-forwarded-host\" and \"x-forwarded-port\" only if it sets them too";
        return Problem::new(place, message).help(help);
    }
    let words = Field::ALL.map(|field| format!("\"{}\"", field.name()));
    let message = format!("`{}` is not a forwarding field", text.value);
    Problem::new(place, message).help(format!("write one of {}", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::{AnyKey, Place};

    fn built(texts: &[&str]) -> Result<TrustedFields, Vec<String>> {
        let at = |text: &&str| At {
            value: (*text).to_owned(),
            place: Place::default(),
        };
        let texts: Vec<_> = texts.iter().map(at).collect();
        let mut problems = Problems::default();
        let fields = TrustedFields::build(&texts, &mut problems);
        let sorted = problems.into_sorted().into_iter();
        let messages: Vec<_> = sorted.map(|problem| problem.message).collect();
        messages.is_empty().then_some(fields).ok_or(messages)
    }

    #[test]
    fn words_are_fields() {
        let words = Field::ALL.map(Field::name);
        let all = built(&words).unwrap();
        assert!(Field::ALL.iter().all(|field| all.has(*field)));
        assert_eq!(all.to_string(), words.join(", "));
        let few = built(&["X-Forwarded-For", "forwarded"]).unwrap();
        assert_eq!(few.to_string(), "x-forwarded-for, forwarded");
        assert_eq!(built(&[]).unwrap().to_string(), "");
    }

    #[test]
    fn the_default_is_that_of_the_key() {
        let text = TRUSTED_FIELDS.descriptor().default.unwrap();
        let words: Vec<_> = text.split('"').skip(1).step_by(2).collect();
        assert_eq!(built(&words).unwrap(), TrustedFields::default());
        assert!(!TrustedFields::default().has(Field::Host));
        assert!(!TrustedFields::default().has(Field::Port));
        assert!(!TrustedFields::default().has(Field::ForwardedHost));
    }

    #[test]
    fn former_and_unknown_names_are_problems() {
        for (words, part) in [
            (&["any"] as &[&str], "is no longer a value"),
            (&["x-forwarded"], "is no longer a value"),
            (&["forwarded-host"], "is a parameter of Forwarded"),
            (&["x-real-ip"], "is not a forwarding field"),
            (&[""], "is not a forwarding field"),
        ] {
            let messages = built(words).unwrap_err();
            assert!(
                messages.len() == 1 && messages[0].contains(part),
                "{words:?}: {messages:?}"
            );
        }
    }
}

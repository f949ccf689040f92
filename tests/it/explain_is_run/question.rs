//! What both sides are asked, and how many questions are made of a few words.

use std::fmt;

/// Header fields of a request. In a value `{etag}` and `{modified}` stand for the ETag and the Last-Modified of the
/// answer to the same request without such fields.
pub(super) type Fields = &'static [(&'static str, &'static str)];

/// No fields.
pub(super) const PLAIN: Fields = &[];

/// The content of a request that has some, unless its Content-Length says more.
const CONTENT: &str = "12345";

const LENGTH: &str = "Content-Length";

/// For questions whose configuration is not chosen by their host.
pub(super) const ANY_HOST: &[&str] = &["localhost"];

/// The one address from which a client comes unless it is said.
pub(super) const LOOPBACK: &str = "127.0.0.1";

/// One request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) host: &'static str,
    pub(super) method: &'static str,
    pub(super) target: &'static str,
    pub(super) fields: Fields,
    /// Whether it comes over TLS.
    pub(super) secure: bool,
    /// Whether it comes in HTTP/2.
    pub(super) http2: bool,
    /// The address of the client.
    pub(super) from: &'static str,
}

impl Question {
    pub(super) fn get(host: &'static str, target: &'static str) -> Self {
        Self {
            host,
            method: "GET",
            target,
            fields: PLAIN,
            secure: false,
            http2: false,
            from: LOOPBACK,
        }
    }

    /// Returns the same in HTTP/2.
    pub(super) fn http2(self) -> Self {
        Self {
            http2: true,
            ..self
        }
    }

    /// Returns the content that is sent, of the length that the fields announce where they do.
    pub(super) fn content(&self) -> Option<String> {
        if !matches!(self.method, "POST" | "PUT") {
            return None;
        }
        let mut lengths = self.fields.iter().filter(|(name, _)| *name == LENGTH);
        let content = match lengths.next() {
            Some((_, length)) => "c".repeat(length.parse().unwrap()),
            None => CONTENT.to_owned(),
        };
        Some(content)
    }

    /// Returns the fields that do not depend on another answer.
    pub(super) fn unconditional(&self) -> Vec<(String, String)> {
        self.resolved(|value| (!value.contains('{')).then(|| value.to_owned()))
    }

    /// Reports whether fields depend on another answer.
    pub(super) fn is_conditional(&self) -> bool {
        self.fields.iter().any(|(_, value)| value.contains('{'))
    }

    /// Returns the fields with their values by `resolve`, without those for which it has none, and without the length
    /// of the content.
    pub(super) fn resolved(
        &self,
        resolve: impl Fn(&str) -> Option<String>,
    ) -> Vec<(String, String)> {
        let fields = self.fields.iter().filter(|(name, _)| *name != LENGTH);
        fields
            .filter_map(|(name, value)| Some(((*name).to_owned(), resolve(value)?)))
            .collect()
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        let target = match self.target.get(60..) {
            Some(_) => "/a-long-path…",
            None => self.target,
        };
        write!(f, "{} {scheme}://{} {target}", self.method, self.host)?;
        for (name, value) in self.fields {
            write!(f, " [{name}: {value}]")?;
        }
        if self.from != LOOPBACK {
            write!(f, " from {}", self.from)?;
        }
        let protocol = if self.http2 { " in HTTP/2" } else { "" };
        f.write_str(protocol)
    }
}

/// Words whose product is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) hosts: &'static [&'static str],
    pub(super) methods: &'static [&'static str],
    pub(super) targets: &'static [&'static str],
    pub(super) fields: &'static [Fields],
}

impl Table {
    /// Returns those of the product for which `keep` holds.
    pub(super) fn some(self, keep: impl Fn(&Question) -> bool) -> Vec<Question> {
        self.questions().into_iter().filter(keep).collect()
    }

    /// Returns the product, each with each.
    pub(super) fn questions(self) -> Vec<Question> {
        let mut questions = Vec::new();
        for host in self.hosts {
            for target in self.targets {
                for method in self.methods {
                    questions.extend(self.fields.iter().map(|fields| Question {
                        method,
                        fields,
                        ..Question::get(host, target)
                    }));
                }
            }
        }
        questions
    }
}

/// Returns the questions in clear text, and the same over TLS.
pub(super) fn with_tls(questions: &[Question]) -> Vec<Question> {
    let secured = questions.iter().map(|question| Question {
        secure: true,
        ..*question
    });
    questions.iter().copied().chain(secured).collect()
}

/// Returns the questions in HTTP/1, and the same in HTTP/2.
pub(super) fn with_http2(questions: &[Question]) -> Vec<Question> {
    let second = questions.iter().map(|question| question.http2());
    questions.iter().copied().chain(second).collect()
}

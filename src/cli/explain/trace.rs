//! What was found out about a request, as values; and as JSON.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::recording::Lookup;
use crate::failure::Failure;
use crate::fastcgi::params::Pair;

/// The whole story.
#[derive(Debug)]
pub(super) struct Explanation {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) listener: String,
    /// As PHP would see it.
    pub(super) client: String,
    pub(super) notes: Vec<String>,
    pub(super) site: Option<String>,
    pub(super) rounds: Vec<Round>,
    pub(super) outcome: Outcome,
}

/// One pass through the rules.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) path: String,
    pub(super) query: Option<String>,
    /// Why it is not the first.
    pub(super) cause: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Step {
    /// From 1, in the order of the site.
    pub(super) number: usize,
    /// `file:line`; empty for what `root` and `php` mean.
    pub(super) place: String,
    pub(super) conditions: String,
    pub(super) matched: bool,
    pub(super) why: String,
    pub(super) handler: Option<&'static str>,
    pub(super) plan: Option<String>,
    pub(super) lookups: Vec<Lookup>,
}

/// How it would end.
#[derive(Debug)]
pub(super) enum Outcome {
    /// PHP is asked.
    Call {
        upstream: String,
        servers: Vec<String>,
        script: String,
        /// What is kept for its class of requests, and by what.
        reserve: Option<String>,
        params: Vec<Pair>,
    },
    /// A file is sent.
    File {
        file: String,
        status: StatusCode,
        fields: HeaderMap,
    },
    /// The gateway answers by itself.
    Answer {
        status: StatusCode,
        fields: HeaderMap,
    },
    /// The request fails.
    Failed {
        status: StatusCode,
        cause: &'static str,
        why: String,
        fields: HeaderMap,
    },
}

impl Outcome {
    pub(super) fn failed(failure: &Failure) -> Self {
        Self::Failed {
            status: failure.status(),
            cause: failure.code(),
            why: failure.to_string(),
            fields: HeaderMap::new(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Call {
                upstream,
                servers,
                script,
                reserve,
                params,
            } => {
                let params = params
                    .iter()
                    .map(|(name, value)| (text(name), json!(text(value))));
                let params: serde_json::Map<String, Value> = params.collect();
                json!({ "kind": "fastcgi", "upstream": upstream, "servers": servers, "script": script, "reserve": reserve, "params": params })
            }
            Self::File {
                file,
                status,
                fields,
            } => {
                json!({ "kind": "file", "file": file, "status": status.as_u16(), "fields": pairs(fields) })
            }
            Self::Answer { status, fields } => {
                json!({ "kind": "answer", "status": status.as_u16(), "fields": pairs(fields) })
            }
            Self::Failed {
                status,
                cause,
                why,
                fields,
            } => {
                json!({ "kind": "failure", "status": status.as_u16(), "cause": cause, "why": why, "fields": pairs(fields) })
            }
        }
    }
}

impl Explanation {
    pub(super) fn json(&self) -> Value {
        let rounds: Vec<_> = self.rounds.iter().map(Round::json).collect();
        json!({
            "method": self.method,
            "url": self.url,
            "listener": self.listener,
            "client": self.client,
            "notes": self.notes,
            "site": self.site,
            "rounds": rounds,
            "outcome": self.outcome.json(),
        })
    }
}

impl Round {
    fn json(&self) -> Value {
        let rules: Vec<_> = self.steps.iter().map(Step::json).collect();
        json!({ "path": self.path, "query": self.query, "cause": self.cause, "rules": rules })
    }
}

impl Step {
    fn json(&self) -> Value {
        let lookups = self.lookups.iter().map(
            |lookup| json!({ "asked": lookup.asked, "path": lookup.path, "found": lookup.found }),
        );
        json!({
            "number": self.number,
            "at": self.place,
            "conditions": self.conditions,
            "matched": self.matched,
            "why": self.why,
            "handler": self.handler,
            "plan": self.plan,
            "lookups": lookups.collect::<Vec<_>>(),
        })
    }
}

fn pairs(fields: &HeaderMap) -> Vec<[String; 2]> {
    let fields = fields.iter();
    fields
        .map(|(name, value)| [name.to_string(), text(value.as_bytes())])
        .collect()
}

/// What is no UTF-8 is shown by its replacement character.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

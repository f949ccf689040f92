//! The explanation of a request, as values and as JSON.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::recording_disk::Lookup;
use crate::fastcgi::params::Pair;

/// The explanation of a request.
#[derive(Debug)]
pub(super) struct Explanation {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) listener: String,
    /// REMOTE_ADDR of PHP.
    pub(super) client: String,
    pub(super) notes: Vec<String>,
    pub(super) site: Option<String>,
    pub(super) rounds: Vec<Round>,
    pub(super) failure: Option<Failed>,
    pub(super) outcome: Outcome,
}

/// A round over the rules.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) path: String,
    pub(super) query: Option<String>,
    /// The cause of a further round.
    pub(super) cause: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// The evaluation of a rule.
#[derive(Debug)]
pub(super) struct Step {
    /// The position in the site, from 1.
    pub(super) number: usize,
    /// `file:line`; empty for rules implied by `root` and `php`.
    pub(super) place: String,
    pub(super) conditions: String,
    pub(super) matched: bool,
    pub(super) why: String,
    /// The limit of requests of a rule that matched.
    pub(super) limit: Option<String>,
    /// The subrequest of a rule that matched.
    pub(super) subrequest: Option<String>,
    pub(super) handler: Option<&'static str>,
    pub(super) plan: Option<String>,
    pub(super) lookups: Vec<Lookup>,
}

/// The end of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A request to PHP.
    Call {
        upstream: String,
        servers: Vec<String>,
        script: String,
        /// The reserved share of its class, and the source.
        reserve: Option<String>,
        params: Vec<Pair>,
    },
    /// A response of the gateway itself, with a file or without.
    Answer {
        file: Option<String>,
        status: StatusCode,
        fields: HeaderMap,
    },
}

/// The failure of a request, that of its response.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) status: StatusCode,
    pub(super) cause: &'static str,
    pub(super) why: String,
}

impl Explanation {
    /// Returns the outcome as JSON: of a call the request to PHP, of all others the response head.
    fn outcome(&self) -> Value {
        let mut outcome = self.outcome.json(self.failure.is_some());
        if let (Some(failure), Some(outcome)) = (&self.failure, outcome.as_object_mut()) {
            outcome.insert("cause".to_owned(), json!(failure.cause));
            outcome.insert("why".to_owned(), json!(failure.why));
        }
        outcome
    }
}

impl Outcome {
    fn json(&self, is_failure: bool) -> Value {
        match self {
            Self::Call {
                upstream,
                servers,
                script,
                reserve,
                params,
            } => {
                let params: serde_json::Map<String, Value> = params
                    .iter()
                    .map(|(name, value)| (text(name), json!(text(value))))
                    .collect();
                json!({ "kind": "fastcgi", "upstream": upstream, "servers": servers, "script": script, "reserve": reserve, "params": params })
            }
            Self::Answer {
                file,
                status,
                fields,
            } => {
                let kind = match file {
                    _ if is_failure => "failure",
                    Some(_) => "file",
                    None => "answer",
                };
                let mut outcome =
                    json!({ "kind": kind, "status": status.as_u16(), "fields": pairs(fields) });
                if let (Some(file), Some(outcome)) = (file, outcome.as_object_mut()) {
                    outcome.insert("file".to_owned(), json!(file));
                }
                outcome
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
            "outcome": self.outcome(),
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
            "limit": self.limit,
            "subrequest": self.subrequest,
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

/// Decodes UTF-8, with the replacement character for invalid bytes.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! What was found out about a request, as values; and as JSON.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::recording::Lookup;
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
    pub(super) failure: Option<Failed>,
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
    /// The gateway answers by itself, with a file or without.
    Answer {
        file: Option<String>,
        status: StatusCode,
        fields: HeaderMap,
    },
}

/// Why the request fails, which its answer is about.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) status: StatusCode,
    pub(super) cause: &'static str,
    pub(super) why: String,
}

impl Explanation {
    /// Returns the outcome: of a call what PHP is sent, of all others the head of the answer as it leaves.
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
                let params = params
                    .iter()
                    .map(|(name, value)| (text(name), json!(text(value))));
                let params: serde_json::Map<String, Value> = params.collect();
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

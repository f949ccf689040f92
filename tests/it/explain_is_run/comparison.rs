//! What the two sides say of one request, held against each other; all differences are gathered and reported by
//! their kinds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use super::question::Question;
use crate::harness::scripted_responder::Received;
use crate::harness::{PATIENCE, Response};

/// Fields that are about the connection or the moment and not about the answer.
const PASSING_FIELDS: [&str; 4] = ["connection", "date", "keep-alive", "transfer-encoding"];

/// Variables that differ from one request to the next, the second to fifth where the gateway makes their values.
const PASSING_PARAMS: [&str; 5] = [
    "REMOTE_PORT",
    "REQUEST_ID",
    "UNIQUE_ID",
    "HTTP_X_REQUEST_ID",
    "HTTP_TRACEPARENT",
];

/// Beside a file: the same in a coding.
const VARIANTS: [&str; 3] = [".br", ".zst", ".gz"];

/// One request on both sides.
pub(super) struct Sides<'a> {
    pub(super) question: &'a Question,
    pub(super) answer: &'a Response,
    /// Of the access log.
    pub(super) line: &'a Value,
    /// What the application received.
    pub(super) calls: &'a [Received],
    pub(super) story: &'a Value,
}

/// What was compared so far.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    compared: usize,
    calls: usize,
    statuses: BTreeSet<u16>,
    causes: BTreeSet<String>,
    differences: BTreeMap<String, Vec<String>>,
}

/// What a family must have been about, so that it compares what it is for.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) questions: usize,
    /// Those at least that reached the application.
    pub(super) calls: usize,
    /// Statuses that occurred, among others.
    pub(super) statuses: &'static [u16],
    /// Causes that occurred, among others.
    pub(super) causes: &'static [&'static str],
}

impl Comparison {
    pub(super) fn add(&mut self, sides: &Sides<'_>) {
        self.count(sides.answer);
        self.calls += usize::from(!sides.calls.is_empty());
        let outcome = &sides.story["outcome"];
        if let Some(cause) = sides.line["cause"].as_str() {
            self.causes.insert(cause.to_owned());
        }
        self.compare_values(sides, "cause", &sides.line["cause"], &outcome["cause"]);
        self.compare_values(sides, "site", &sides.line["site"], &sides.story["site"]);
        self.compare_values(
            sides,
            "client",
            &sides.line["client"],
            &sides.story["client"],
        );
        match (sides.calls, outcome["kind"] == "fastcgi") {
            ([], false) => self.compare_answer(sides),
            ([call], true) => self.compare_call(sides, call),
            ([], true) => self.add_difference(
                sides.question,
                "call: explained, and none was made",
                format!("run {}", sides.answer.status),
            ),
            (calls, _) => {
                let scripts: Vec<_> = calls
                    .iter()
                    .map(|call| call.param("SCRIPT_FILENAME"))
                    .collect();
                let difference = format!("run {scripts:?}, explain {}", outcome["kind"]);
                self.add_difference(sides.question, "call: made, and not explained", difference);
            }
        }
    }

    /// Takes in what another compared.
    pub(super) fn join(&mut self, other: Self) {
        self.compared += other.compared;
        self.calls += other.calls;
        self.statuses.extend(other.statuses);
        self.causes.extend(other.causes);
        for (kind, differences) in other.differences {
            self.differences
                .entry(kind)
                .or_default()
                .extend(differences);
        }
    }

    /// Notes a question that `explain` does not answer.
    pub(super) fn add_refusal(&mut self, question: &Question, answer: &Response, error: &str) {
        self.count(answer);
        let difference = format!("run {}, explain {error}", answer.status);
        self.add_difference(question, "question: not understood", difference);
    }

    /// Fails where less was compared than is expected, and where anything differs, with all that does.
    #[track_caller]
    pub(super) fn finish(self, expected: &Expected) {
        assert_eq!(self.compared, expected.questions, "questions compared");
        assert!(self.calls >= expected.calls, "calls: {}", self.calls);
        for status in expected.statuses {
            assert!(self.statuses.contains(status), "{:?}", self.statuses);
        }
        for cause in expected.causes {
            assert!(self.causes.contains(*cause), "{:?}", self.causes);
        }
        assert!(self.differences.is_empty(), "{}", self.report());
    }

    fn report(&self) -> String {
        let count: usize = self.differences.values().map(Vec::len).sum();
        let mut report = format!(
            "{count} differences of {} kinds in {} questions:\n",
            self.differences.len(),
            self.compared
        );
        for (kind, differences) in &self.differences {
            writeln!(report, "\n{kind} ({})", differences.len()).unwrap();
            for difference in differences {
                writeln!(report, "    {difference}").unwrap();
            }
        }
        report
    }

    fn count(&mut self, answer: &Response) {
        self.compared += 1;
        self.statuses.insert(answer.status);
    }

    fn add_difference(&mut self, question: &Question, kind: &str, difference: String) {
        let of_kind = self.differences.entry(kind.to_owned()).or_default();
        of_kind.push(format!("{question}: {difference}"));
    }

    fn compare_values(&mut self, sides: &Sides<'_>, what: &str, run: &Value, explained: &Value) {
        if run != explained {
            let difference = format!("run {run}, explain {explained}");
            self.add_difference(sides.question, what, difference);
        }
    }

    fn compare_answer(&mut self, sides: &Sides<'_>) {
        let outcome = &sides.story["outcome"];
        let status = Value::from(sides.answer.status);
        self.compare_values(sides, "status", &status, &outcome["status"]);
        if let Some(file) = sent_instead(outcome, sides.answer) {
            let difference = format!("run {file}, explain {}", outcome["file"]);
            self.add_difference(sides.question, "file", difference);
        }
        let (mut sent, mut explained) = (fields_sent(sides.answer), fields_explained(outcome));
        // A page of the gateway's own has the name of the request in it: coded, it has another length for each.
        let is_coded = sides.answer.header("content-encoding").is_some();
        if is_coded && outcome["kind"] == "failure" {
            explained.remove("content-length");
        }
        if may_leave_out_length(sides) && !explained.contains_key("content-length") {
            sent.remove("content-length");
        }
        let names: BTreeSet<_> = sent.keys().chain(explained.keys()).cloned().collect();
        for name in names {
            let values = (sent.remove(&name), explained.remove(&name));
            let kind = match &values {
                (Some(sent), Some(explained)) if same_values(&name, sent, explained) => continue,
                (Some(_), Some(_)) => format!("field {name}: another value"),
                (_, None) => format!("field {name}: not explained"),
                (None, _) => format!("field {name}: explained, and not sent"),
            };
            let difference = format!(
                "run {} {:?}, explain {} {:?}",
                sides.answer.status,
                values.0.unwrap_or_default(),
                outcome["status"],
                values.1.unwrap_or_default()
            );
            self.add_difference(sides.question, &kind, difference);
        }
    }

    fn compare_call(&mut self, sides: &Sides<'_>, call: &Received) {
        let outcome = &sides.story["outcome"];
        let params: BTreeMap<_, _> = outcome["params"].as_object().unwrap().iter().collect();
        let names: BTreeSet<_> = call.params.keys().chain(params.keys().copied()).collect();
        for name in names {
            let sent = call.params.get(name).map(String::as_str);
            let explained = params.get(name).map(|value| value.as_str().unwrap());
            // `explain` is asked in HTTP/1.1 alone.
            let is_protocol = sides.question.http2 && name == "SERVER_PROTOCOL";
            let is_same = if is_protocol || PASSING_PARAMS.contains(&name.as_str()) {
                sent.map(without_made_id) == explained.map(without_made_id)
            } else {
                sent == explained
            };
            if !is_same {
                let difference = format!("run {sent:?}, explain {explained:?}");
                self.add_difference(sides.question, &format!("param {name}"), difference);
            }
        }
        let script = outcome["script"].as_str().unwrap();
        // With `apache-fpm` it stands between the address of a server and PATH_INFO.
        if !call.param("SCRIPT_FILENAME").contains(script) {
            let difference = format!("run {}, explain {script}", call.param("SCRIPT_FILENAME"));
            self.add_difference(sides.question, "script", difference);
        }
    }
}

/// Returns a value that passes without what differs from one request to the next: all of it, unless it was kept from a
/// proxy. A traceparent that the gateway makes has a parent-id that is the second half of its trace-id.
fn without_made_id(value: &str) -> &str {
    let is_kept = match (value.get(19..35), value.get(36..52)) {
        (Some(half), Some(parent)) => half != parent,
        _ => value.contains("proxy"),
    };
    if is_kept { value } else { "" }
}

type Values = BTreeMap<String, Vec<String>>;

fn fields_sent(answer: &Response) -> Values {
    let fields = answer.fields.iter();
    by_name(fields.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())))
}

fn fields_explained(outcome: &Value) -> Values {
    let fields = outcome["fields"].as_array().into_iter().flatten();
    by_name(fields.map(|field| {
        let text = |index: usize| field[index].as_str().unwrap().to_owned();
        (text(0), text(1))
    }))
}

fn by_name(fields: impl Iterator<Item = (String, String)>) -> Values {
    let mut values = Values::new();
    for (name, value) in fields {
        if !PASSING_FIELDS.contains(&name.as_str()) {
            values.entry(name).or_default().push(value);
        }
    }
    values
}

fn same_values(name: &str, sent: &[String], explained: &[String]) -> bool {
    match (name, sent, explained) {
        ("expires", [sent], [explained]) => are_close(sent, explained),
        // The boundary is made anew for each answer.
        ("content-type", [sent], [explained]) => {
            let essence = |value: &str| value.split("boundary=").next().map(str::to_owned);
            essence(sent) == essence(explained)
        }
        _ => sent == explained,
    }
}

/// Reports whether both are dates of one question, which neither side works on for longer than [`PATIENCE`].
fn are_close(sent: &str, explained: &str) -> bool {
    let dates = [sent, explained].map(httpdate::parse_http_date);
    let [Ok(sent), Ok(explained)] = dates else {
        return sent == explained;
    };
    let later = sent.max(explained);
    let distance = later.duration_since(sent.min(explained));
    distance.is_ok_and(|distance| distance < PATIENCE)
}

/// Reports whether the length of the content is known only to who makes it: the list of a folder, and what is coded
/// as it is sent.
fn may_leave_out_length(sides: &Sides<'_>) -> bool {
    let file = sides.story["outcome"]["file"].as_str().unwrap_or_default();
    let is_variant = VARIANTS.iter().any(|variant| file.ends_with(variant));
    let is_coded = sides.answer.header("content-encoding").is_some();
    let rounds = sides.story["rounds"].as_array();
    let last = rounds.and_then(|rounds| rounds.last()?["rules"].as_array()?.last());
    let is_list = last.is_some_and(|rule| rule["plan"] == "lists the folder");
    is_list || (is_coded && !is_variant)
}

/// Returns the file with the content that was sent, where that is not the one that is explained.
fn sent_instead(outcome: &Value, answer: &Response) -> Option<String> {
    let file = outcome["file"].as_str()?;
    let has_content = |name: &String| {
        std::fs::read(name).is_ok_and(|content| !content.is_empty() && content == answer.body)
    };
    let is_variant = VARIANTS.iter().any(|variant| file.ends_with(variant));
    let is_coded = answer.header("content-encoding").is_some();
    if is_coded && !is_variant {
        let mut variants = VARIANTS.iter().map(|variant| format!("{file}{variant}"));
        return variants.find(has_content);
    }
    let is_whole = answer.status == 200 && !answer.body.is_empty();
    let is_another = is_whole && !has_content(&file.to_owned());
    is_another.then(|| "another content".to_owned())
}

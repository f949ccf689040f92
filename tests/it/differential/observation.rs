//! What one side did with a request, as names and values that can be compared.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::Response;

/// Names such as `status`, `by`, `field:location`, `body`, `script`, `server:HTTP_HOST`, `header:Host`, `post`,
/// `input:sha256`, with their values.
#[derive(Debug)]
pub(super) struct Observation(BTreeMap<String, String>);

/// What is of this run only, or of one server, in values that are the same otherwise.
pub(super) struct Own {
    pub(super) root: String,
    pub(super) php: String,
    pub(super) port: u16,
}

/// Response fields that each server decides for itself.
const OWN_FIELDS: &[&str] = &[
    "date",              // the time
    "server",            // its name
    "connection",        // of this connection only
    "keep-alive",        // the same
    "upgrade",           // the same; Apache advertises h2c in each answer
    "transfer-encoding", // framing
    "content-length",    // framing; that the content is whole is what counts
];

/// Variables that are different in each request, whoever serves it.
const ALWAYS_DIFFERENT: &[&str] = &[
    "server:REMOTE_PORT",
    "server:REQUEST_TIME",
    "server:REQUEST_TIME_FLOAT",
    "server:SSL_SESSION_ID",
];

/// The same, but that they are there counts.
const NAMES: &[&str] = &[
    "server:UNIQUE_ID",
    "server:REQUEST_ID",
    "server:HTTP_X_REQUEST_ID",
    "header:X-Request-Id",
];

/// What is absent, in both tables and in messages.
pub(super) const ABSENT: &str = "(absent)";

impl Own {
    /// `text` with `{root}`, `{php}` and `{port}` in their places.
    fn hidden(&self, text: &str) -> String {
        let port = self.port.to_string();
        if text == port {
            return "{port}".to_owned();
        }
        // The digits alone may be a part of anything, of a hash too.
        text.replace(&self.root, "{root}")
            .replace(&self.php, "{php}")
            .replace(&format!(":{port}"), ":{port}")
    }
}

impl Observation {
    /// Looks at a response; `own` is hidden in all values.
    pub(super) fn of(response: &Response, own: &Own) -> Self {
        let mut values = BTreeMap::from([
            ("status".to_owned(), response.status.to_string()),
            ("whole".to_owned(), response.whole.to_string()),
        ]);
        let by_php = response.header("x-powered-by").is_some();
        let dumps = response.header("x-dump").is_some();
        assert!(
            by_php || !dumps,
            "PHP must say X-Powered-By: without it no answer of a script is compared"
        );
        values.insert(
            "by".to_owned(),
            if by_php { "php" } else { "server" }.to_owned(),
        );
        fields(response, by_php, &mut values);
        if dumps && !response.body.is_empty() {
            flatten("", &response.json(), &mut values);
        } else if by_php {
            values.insert("body".to_owned(), response.text());
        }
        for value in values.values_mut() {
            *value = own.hidden(value);
        }
        for name in NAMES {
            values
                .entry((*name).to_owned())
                .and_modify(|value| *value = "(set)".to_owned());
        }
        values.retain(|name, _| !ALWAYS_DIFFERENT.contains(&name.as_str()));
        Self(values)
    }

    /// Name, and the two values, of what is not the same. Answers of different status have nothing else in common.
    pub(super) fn differences(apache: &Self, fcgate: &Self) -> Vec<(String, String, String)> {
        if apache.value("status") != fcgate.value("status") {
            return vec![Self::pair(apache, fcgate, "status")];
        }
        let mut names: Vec<&String> = apache.0.keys().chain(fcgate.0.keys()).collect();
        names.sort();
        names.dedup();
        let differing = names
            .into_iter()
            .map(|name| Self::pair(apache, fcgate, name));
        differing
            .filter(|(_, apache, fcgate)| apache != fcgate)
            .collect()
    }

    fn pair(apache: &Self, fcgate: &Self, name: &str) -> (String, String, String) {
        (
            name.to_owned(),
            apache.value(name).to_owned(),
            fcgate.value(name).to_owned(),
        )
    }

    fn value(&self, name: &str) -> &str {
        self.0.get(name).map_or(ABSENT, String::as_str)
    }
}

/// What a server says of its own is worded as it likes: only where it sends the client, and how it asks, counts.
fn fields(response: &Response, by_php: bool, values: &mut BTreeMap<String, String>) {
    for (name, value) in &response.fields {
        let name = name.to_ascii_lowercase();
        let counts = by_php || matches!(name.as_str(), "location" | "allow" | "www-authenticate");
        if !counts || OWN_FIELDS.contains(&name.as_str()) {
            continue;
        }
        let all = values.entry(format!("field:{name}"));
        all.and_modify(|all| *all += &format!("\n{value}"))
            .or_insert_with(|| value.clone());
    }
}

fn flatten(name: &str, value: &Value, values: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let inside = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}:{key}")
                };
                flatten(&inside, value, values);
            }
        }
        Value::String(text) => {
            values.insert(name.to_owned(), text.clone());
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            values.insert(name.to_owned(), value.to_string());
        }
    }
}

//! `respond`: a fixed answer in memory.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use super::{Body, Decision, Maker, deny};
use crate::message::status::has_content;
use crate::section::{At, Key, Lowered, Pairs, Problem, Problems, Section, Table};

/// The `respond` key of a rule.
pub static KEY: Key<Table> =
    Key::table("respond", &RESPOND, "A fixed answer.").example("{ body = \"ok\" }");

/// The `respond` section.
pub static RESPOND: Section = Section {
    title: "[site.rule.respond]",
    doc: "A fixed answer.",
    groups: &[&[&STATUS, &BODY, &CONTENT_TYPE, &HEADERS]],
};

static STATUS: Key<u16> = Key::integer("status", 200..=599, "Status.").default("200");

static BODY: Key<At<String>> =
    Key::text("body", "Content; a status of 204, 205 or 304 has none.").default("\"\"");

static CONTENT_TYPE: Key<At<String>> =
    Key::text("content_type", "The Content-Type; \"\" sends none.")
        .default("\"text/plain; charset=utf-8\"");

static HEADERS: Key<Pairs> =
    Key::pairs("headers", "Further header fields.").example("{ Cache-Control = \"no-store\" }");

/// The same answer to every request.
#[derive(Debug)]
pub struct Respond {
    status: StatusCode,
    fields: HeaderMap,
    content: Bytes,
}

impl Respond {
    /// Builds the answer from its section; fields that HTTP cannot carry are problems. `left` are the methods to which its
    /// rule does not apply, for a 405 without Allow of its own.
    pub fn build(section: &Lowered, left: &[Method], problems: &mut Problems) -> Self {
        let status = StatusCode::from_u16(section.get(&STATUS)).unwrap_or(StatusCode::OK);
        let mut fields = HeaderMap::new();
        let content_type = Some(section.get(&CONTENT_TYPE)).filter(|text| !text.is_empty());
        if let Some(value) = content_type.and_then(|text| field_value(&text, problems)) {
            fields.insert(header::CONTENT_TYPE, value);
        }
        for (name, value) in section.get(&HEADERS) {
            if let (Some(name), Some(value)) =
                (field_name(&name, problems), field_value(&value, problems))
            {
                fields.append(name, value);
            }
        }
        if let Some(allow) = deny::allow(status, left) {
            fields.entry(header::ALLOW).or_insert(allow);
        }
        let body = section.get(&BODY);
        let content = Some(body).filter(|text| !text.value.is_empty());
        if let Some(text) = &content
            && !has_content(status)
        {
            let message = format!(
                "an answer of {} has no content: `body` is not sent",
                status.as_u16()
            );
            let problem = Problem::new(text.place.clone(), message);
            problems.warn(problem.help("remove `body`, or set another `status`"));
        }
        let content = content.filter(|_| has_content(status));
        Self {
            status,
            fields,
            content: content.map(|text| text.value.into()).unwrap_or_default(),
        }
    }

    pub(super) fn refuses(&self) -> bool {
        self.status.is_client_error()
    }

    pub(super) fn decide(&self) -> Decision {
        let mut response = Response::new(Body::bytes(self.content.clone()).by(Maker::Rule));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.fields.clone();
        Decision::Answer(response)
    }
}

/// Parses a field name; those that frame a message are set by the gateway alone.
fn field_name(text: &At<String>, problems: &mut Problems) -> Option<HeaderName> {
    match HeaderName::from_bytes(text.value.as_bytes()) {
        Ok(name)
            if name == header::CONTENT_LENGTH
                || crate::message::hop_by_hop::is_hop_by_hop(&name) =>
        {
            problems.push(Problem::new(
                text.place.clone(),
                format!("`{}` is set by the gateway alone", text.value),
            ));
            None
        }
        Ok(name) => Some(name),
        Err(_) => {
            problems.push(Problem::new(
                text.place.clone(),
                format!("`{}` is not the name of a header field", text.value),
            ));
            None
        }
    }
}

fn field_value(text: &At<String>, problems: &mut Problems) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(&text.value);
    if value.is_err() {
        problems.push(Problem::new(
            text.place.clone(),
            format!(
                "`{}` cannot be the value of a header field",
                text.value.escape_debug()
            ),
        ));
    }
    value.ok()
}

//! `tests/differential/requests.toml`, one case for each member of its lists and each protocol.

use super::Style;
use super::table::{Entry, entries};
use crate::harness::{Content, Request};

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http10,
    Http11,
    H2c,
    H2,
    /// HTTP/1.1 over TLS.
    Https,
}

impl Protocol {
    const ALL: [Self; 5] = [Self::Http10, Self::Http11, Self::H2c, Self::H2, Self::Https];

    /// Where an entry says nothing.
    const USUAL: [Self; 4] = [Self::Http10, Self::Http11, Self::H2c, Self::H2];

    /// Its name in the two tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::H2c => "h2c",
            Self::H2 => "h2",
            Self::Https => "https",
        }
    }
}

/// One request in one protocol.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// The entry's name and its members of the lists.
    pub(super) name: String,
    pub(super) protocol: Protocol,
    request: Request,
}

impl Case {
    /// The request for the server that listens on `port`.
    pub(super) fn request(&self, port: u16) -> Request {
        let mut request = self.request.clone();
        let port = port.to_string();
        request.target = request.target.replace("{port}", &port);
        for (_, value) in &mut request.fields {
            *value = value.replace("{port}", &port);
        }
        match self.protocol {
            Protocol::Http10 => request.http10(),
            Protocol::Http11 | Protocol::H2c | Protocol::H2 | Protocol::Https => request,
        }
    }

    /// The host that it names, without its port.
    pub(super) fn host(&self) -> &str {
        let host = self.request.fields.iter().find(|(name, _)| name == "Host");
        let host = host.map_or("", |(_, value)| value.as_str());
        host.split(':').next().unwrap_or_default()
    }
}

/// The host where an entry names none.
const HOST: &str = "a.example:{port}";

/// All cases for `style`.
pub(super) fn of(style: Style) -> Vec<Case> {
    let text = include_str!("../../differential/requests.toml");
    let entries = entries(text, "request").into_iter();
    entries.flat_map(|entry| cases(entry, style)).collect()
}

fn cases(mut entry: Entry, style: Style) -> Vec<Case> {
    let name = entry.text("name");
    let protocols = protocols(&mut entry);
    let styles = entry.texts("styles");
    let requests = requests(&mut entry);
    entry.finish();
    if styles.is_some_and(|styles| !styles.iter().any(|name| name == style.name())) {
        return Vec::new();
    }
    let cases = requests.into_iter().flat_map(|(member, request)| {
        let name = format!("{name}{member}");
        protocols.iter().map(move |protocol| Case {
            name: name.clone(),
            protocol: *protocol,
            request: request.clone(),
        })
    });
    cases.collect()
}

fn protocols(entry: &mut Entry) -> Vec<Protocol> {
    let Some(names) = entry.texts("protocols") else {
        return Protocol::USUAL.to_vec();
    };
    let named = |name: &String| Protocol::ALL.into_iter().find(|known| known.name() == name);
    let protocols = names.iter().map(|name| match named(name) {
        Some(protocol) => protocol,
        None => panic!("no such protocol: {name}"),
    });
    protocols.collect()
}

/// The requests of an entry, each with what it adds to the name.
fn requests(entry: &mut Entry) -> Vec<(String, Request)> {
    let methods = Choice::of(entry, "method", "GET");
    let hosts = Choice::of(entry, "host", HOST);
    let targets = Choice::of(entry, "target", "/dump.php");
    let fields = entry.texts("fields").unwrap_or_default();
    let content = content(entry);
    let mut requests = Vec::new();
    for method in &methods.values {
        for host in &hosts.values {
            for target in &targets.values {
                let member = methods.member(method) + &hosts.member(host) + &targets.member(target);
                let request = request((method, host, target), &fields, content.clone());
                requests.push((member, request));
            }
        }
    }
    requests
}

fn request(
    (method, host, target): (&str, &str, &str),
    fields: &[String],
    content: Option<Content>,
) -> Request {
    let mut request = Request::new(method, target);
    if !host.is_empty() {
        request = request.field("Host", host);
    }
    for field in fields {
        let (name, value) = field.split_once(": ").unwrap();
        request = request.field(name, value);
    }
    Request { content, ..request }
}

fn content(entry: &mut Entry) -> Option<Content> {
    let body = entry.optional("body").map(|text| Content::new(text, 1));
    let mebibytes = entry.number("mebibytes").map(Content::mebibytes);
    let content = body.or(mebibytes);
    match (content, entry.flag("chunked")) {
        (Some(content), true) => Request::get("").content(content).chunked().content,
        (content, _) => content,
    }
}

/// One value, or several that make a case each.
struct Choice {
    values: Vec<String>,
}

impl Choice {
    fn of(entry: &mut Entry, key: &str, default: &str) -> Self {
        let values = entry.texts(key);
        Self {
            values: values.unwrap_or_else(|| vec![default.to_owned()]),
        }
    }

    /// What `value` adds to the name of its case: nothing where there is no choice.
    fn member(&self, value: &str) -> String {
        if self.values.len() == 1 {
            return String::new();
        }
        format!(" {value}")
    }
}

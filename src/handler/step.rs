//! What follows when a rule matches: changes that do not end the search, and at most one handler.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::Handler;
use crate::message::edits::{Assignment, FieldEdit, RuleEdits};
use crate::message::{Request, hop_by_hop};
use crate::route::template::{Groups, Template};
use crate::route::{Captures, Scope};
use crate::section::{At, Key, Kind, Lowered, Place, Problem, Problems, Section};
use crate::value::TimeLimit;

/// The keys of the changes, which every rule may have.
pub mod keys {
    use super::{REQUEST_FIELDS, RESPONSE_FIELDS};
    use crate::section::{Key, Kind};

    /// Variables of PHP.
    pub const SET_ENV: Key = Key::new("set_env", Kind::Pairs, "Variables that PHP gets, after all others and in the order of the rules, whatever they were before: templates, and an empty value is sent. No client can set one.").example("{ APP_ENV = \"production\", TENANT = \"$1\" }");

    /// Variables that PHP does not get.
    pub const UNSET_ENV: Key =
        Key::new("unset_env", Kind::Texts, "Variables that PHP does not get.")
            .example("[\"REMOTE_PORT\"]");

    /// Settings of PHP.
    pub const PHP_VALUE: Key = Key::new("php_value", Kind::Pairs, "Settings of PHP for the request, which ini_set() may change: texts, numbers, true and false. PHP-FPM leaves them in the worker that got them, for its later requests too, until they are set again: give what differs a pool of its own, or set the same names for all requests of a pool.").example("{ memory_limit = \"512M\", display_errors = false }");

    /// Settings of PHP that stand.
    pub const PHP_ADMIN_VALUE: Key = Key::new(
        "php_admin_value",
        Kind::Pairs,
        "The same, which no script can change.",
    )
    .example("{ open_basedir = \"/srv/app:/tmp\" }");

    /// What PHP sees of the request.
    pub const REQUEST_HEADERS: Key = Key::new(
        "request_headers",
        Kind::Table(&REQUEST_FIELDS),
        "Changes of the request's fields, as PHP sees them.",
    )
    .example("{ remove = [\"Accept-Encoding\"] }");

    /// What the client sees of the answer.
    pub const RESPONSE_HEADERS: Key = Key::new("response_headers", Kind::Table(&RESPONSE_FIELDS), "Changes of the answer's fields, whoever made it: PHP, a file, or the gateway with an error.").example("{ set = { X-Frame-Options = \"DENY\" } }");

    /// How long the answer is good.
    pub const EXPIRES: Key = Key::new("expires", Kind::Duration, "How long a client may keep the answer without asking again: Cache-Control with max-age, and Expires; of answers with a status of 200 to 399 that say nothing of it themselves.").example("\"30d\"");
}

static REQUEST_FIELDS: Section = Section {
    title: "[site.rule.request_headers]",
    doc: "Changes of the request's fields, as PHP sees them. Conditions of rules see what the client sent.",
    keys: &FIELD_KEYS,
};

static RESPONSE_FIELDS: Section = Section {
    title: "[site.rule.response_headers]",
    doc: "Changes of the answer's fields, whoever made it.",
    keys: &FIELD_KEYS,
};

const FIELD_KEYS: [Key; 4] = [
    Key::new(
        "set",
        Kind::Pairs,
        "Fields that are there with this value alone: templates.",
    )
    .example("{ X-Frame-Options = \"DENY\" }"),
    Key::new("add", Kind::Pairs, "Further fields of the name.")
        .example("{ Link = \"</a.css>; rel=preload\" }"),
    Key::new(
        "append",
        Kind::Pairs,
        "Further elements of the list that a field is.",
    )
    .example("{ Vary = \"Accept-Language\" }"),
    Key::new("remove", Kind::Texts, "Fields that are not there.").example("[\"X-Powered-By\"]"),
];

const CHANGES: [&str; 9] = [
    "set_env",
    "unset_env",
    "php_value",
    "php_admin_value",
    "request_headers",
    "response_headers",
    "expires",
    "limits",
    "timeouts",
];

/// What follows.
#[derive(Debug)]
pub struct Step {
    /// Whether only internal rounds come here.
    pub internal: bool,
    /// What changes.
    pub changes: Option<Box<Changes>>,
    /// What answers; without one the search goes on.
    pub handler: Option<Handler>,
}

impl Step {
    /// This handler and nothing else.
    pub fn of(handler: Handler) -> Self {
        Self {
            internal: false,
            changes: None,
            handler: Some(handler),
        }
    }

    /// Whether it is what [`Handler::ExcludeProxy`] keeps a request from.
    pub fn is_proxy_target(&self) -> bool {
        self.handler.as_ref().is_some_and(Handler::is_proxy_target)
    }
}

/// Changes with their variables.
#[derive(Debug, Default)]
pub struct Changes {
    environment: Vec<(Arc<str>, Option<Template>)>,
    php_values: [Option<Arc<str>>; 2],
    request: Vec<Edit>,
    answer: Vec<Edit>,
    expires: Option<Duration>,
    body_limit: Option<u64>,
    timeouts: Arc<[TimeLimit]>,
}

#[derive(Debug)]
struct Edit {
    name: HeaderName,
    how: How,
}

#[derive(Debug)]
enum How {
    Set(Template),
    Add(Template),
    Append(Template),
    Remove,
}

impl Changes {
    /// From the section of a rule; `None` where it has none.
    /// `show` says where a key stands, as `file:line`.
    pub fn build(
        section: &Lowered,
        groups: &Groups,
        show: &dyn Fn(&Place) -> String,
        problems: &mut Problems,
    ) -> Option<Box<Self>> {
        let keys = section.given_keys();
        if !keys.iter().any(|key| CHANGES.contains(&key.value)) {
            return None;
        }
        let edits = |key, problems: &mut Problems| {
            let table = section.given_table(key);
            table.map_or_else(Vec::new, |table| edits(table, groups, problems))
        };
        let limits = section.given_table("limits");
        let limit = limits.filter(|limits| limits.is_given("body"));
        Some(Box::new(Self {
            environment: environment(section, groups, problems),
            php_values: ["php_value", "php_admin_value"]
                .map(|key| php_values(&section.pairs(key), problems)),
            request: edits("request_headers", problems),
            answer: edits("response_headers", problems),
            expires: section
                .is_given("expires")
                .then(|| section.duration("expires")),
            body_limit: limit.map(|limits| limits.size("body").0),
            timeouts: timeouts(section, show),
        }))
    }

    /// For one request: every variable has its value. A value that no field can have is left out.
    pub fn resolve(&self, rule: usize, request: &Request, captures: &Captures) -> RuleEdits {
        let scope = Scope { request, captures };
        let resolve = |edits: &[Edit]| {
            edits
                .iter()
                .filter_map(|edit| edit.resolve(&scope))
                .collect()
        };
        let assign = |(name, template): &(Arc<str>, Option<Template>)| Assignment {
            name: Arc::clone(name),
            value: template.as_ref().map(|template| template.expand(&scope)),
        };
        RuleEdits {
            rule,
            environment: self.environment.iter().map(assign).collect(),
            php_values: self.php_values.clone(),
            request: resolve(&self.request),
            answer: resolve(&self.answer),
            expires: self.expires,
            body_limit: self.body_limit,
            timeouts: Arc::clone(&self.timeouts),
        }
    }
}

impl Edit {
    fn resolve(&self, scope: &Scope<'_>) -> Option<FieldEdit> {
        let value = |template: &Template| HeaderValue::from_bytes(&template.expand(scope)).ok();
        let name = self.name.clone();
        match &self.how {
            How::Set(template) => Some(FieldEdit::Set(name, value(template)?)),
            How::Add(template) => Some(FieldEdit::Add(name, value(template)?)),
            How::Append(template) => Some(FieldEdit::Append(name, value(template)?)),
            How::Remove => Some(FieldEdit::Remove(name)),
        }
    }
}

fn timeouts(section: &Lowered, show: &dyn Fn(&Place) -> String) -> Arc<[TimeLimit]> {
    const NAMES: [(&str, &str); 3] = [
        ("timeouts.queue", "queue"),
        ("timeouts.first_byte", "first_byte"),
        ("timeouts.idle", "idle"),
    ];
    let Some(table) = section.given_table("timeouts") else {
        return Arc::default();
    };
    let given = NAMES.into_iter().filter(|(_, key)| table.is_given(key));
    given
        .map(|(name, key)| TimeLimit {
            name,
            duration: table.duration(key),
            place: show(&table.place_of(key)).into(),
        })
        .collect()
}

fn environment(
    section: &Lowered,
    groups: &Groups,
    problems: &mut Problems,
) -> Vec<(Arc<str>, Option<Template>)> {
    let mut environment = Vec::new();
    for (name, value) in section.pairs("set_env") {
        check_assignment(&name, &value, problems);
        if let (Some(name), Some(template)) = (
            variable(&name, problems),
            template(&value, groups, problems),
        ) {
            environment.push((name, Some(template)));
        }
    }
    let unset = section.texts("unset_env").into_iter();
    environment.extend(unset.filter_map(|name| Some((variable(&name, problems)?, None))));
    environment
}

/// What decides how PHP runs is not for a client to say.
fn check_assignment(name: &At<String>, value: &At<String>, problems: &mut Problems) {
    let settings = matches!(name.value.as_str(), "PHP_VALUE" | "PHP_ADMIN_VALUE");
    if settings && value.value.contains('$') {
        let message = format!("a client could set {} by this", name.value);
        problems.push(
            Problem::new(value.place.clone(), message)
                .help("write `php_value` or `php_admin_value`, whose values are fixed"),
        );
    }
    let sent = ["${header:", "${cookie:", "$query", "${query"];
    if name.value == "SCRIPT_FILENAME" && sent.iter().any(|text| value.value.contains(text)) {
        let problem = Problem::new(
            value.place.clone(),
            "a client could choose by this what PHP runs",
        );
        problems.push(problem.help("take it from the path: `$1` of the rule's `match`, `$rest`"));
    }
}

/// Any text without `=` and control characters is a name to PHP; ours are those that can be typed.
fn variable(name: &At<String>, problems: &mut Problems) -> Option<Arc<str>> {
    let typed = |byte: u8| byte.is_ascii_graphic() && byte != b'=';
    if !name.value.is_empty() && name.value.bytes().all(typed) {
        return Some(name.value.as_str().into());
    }
    let message = format!("`{}` is no name of a variable", name.value.escape_debug());
    problems.push(Problem::new(name.place.clone(), message));
    None
}

/// PHP reads the lines as those of php.ini.
fn php_values(pairs: &[(At<String>, At<String>)], problems: &mut Problems) -> Option<Arc<str>> {
    let mut lines = Vec::new();
    for (name, value) in pairs {
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let bad = |c: char| matches!(c, '"' | '\\' | '$') || c.is_control();
        if name.value.is_empty() || !name.value.bytes().all(in_name) {
            let message = format!("`{}` is no setting of PHP", name.value.escape_debug());
            problems.push(Problem::new(name.place.clone(), message));
        } else if value.value.contains(bad) {
            problems.push(
                Problem::new(
                    value.place.clone(),
                    format!("PHP cannot be sent `{}`", value.value.escape_debug()),
                )
                .help("a value has no quote, backslash, $ or control character: php.ini would read it otherwise"),
            );
        } else {
            let plain = value.value.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let quote = if plain { "" } else { "\"" };
            lines.push(format!("{}={quote}{}{quote}", name.value, value.value));
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n").into())
}

fn edits(table: &Lowered, groups: &Groups, problems: &mut Problems) -> Vec<Edit> {
    let mut edits = Vec::new();
    type Kind = (&'static str, fn(Template) -> How);
    const KINDS: [Kind; 3] = [
        ("set", How::Set),
        ("add", How::Add),
        ("append", How::Append),
    ];
    for (key, how) in KINDS {
        for (name, value) in table.pairs(key) {
            let name = field_name(&name, problems);
            let template = template(&value, groups, problems);
            if let (Some(name), Some(template)) = (name, template) {
                let how = how(template);
                edits.push(Edit { name, how });
            }
        }
    }
    for name in table.texts("remove") {
        let name = field_name(&name, problems);
        edits.extend(name.map(|name| Edit {
            name,
            how: How::Remove,
        }));
    }
    edits
}

/// What frames a message is the gateway's alone.
fn field_name(text: &At<String>, problems: &mut Problems) -> Option<HeaderName> {
    let message = match HeaderName::from_bytes(text.value.as_bytes()) {
        Ok(name) if name == http::header::CONTENT_LENGTH || hop_by_hop::is_hop_by_hop(&name) => {
            format!("`{}` is set by the gateway alone", text.value)
        }
        Ok(name) => return Some(name),
        Err(_) => format!("`{}` is not the name of a header field", text.value),
    };
    problems.push(Problem::new(text.place.clone(), message));
    None
}

fn template(text: &At<String>, groups: &Groups, problems: &mut Problems) -> Option<Template> {
    let template = Template::parse(&text.value, groups);
    template
        .map_err(|error| problems.push(Problem::new(text.place.clone(), error.to_string())))
        .ok()
}

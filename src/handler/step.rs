//! What follows when a rule matches: changes that do not end the search, and at most one handler.

mod variables;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::Handler;
use crate::handler::fastcgi::RULE_TIMES;
use crate::limits::BODY;
use crate::message::edits::{Assignment, FieldEdit, RuleEdits, variable_of};
use crate::message::{Request, hop_by_hop};
use crate::route::template::{Groups, Template};
use crate::route::{Captures, Scope};
use crate::section::{At, Group, Key, Lowered, Pairs, Place, Problem, Problems, Section, Table};
use crate::value::TimeLimit;
use variables::{check_length, environment, php_values};

/// The keys of the changes, which every rule may have.
pub mod keys {
    use super::{REQUEST_FIELDS, RESPONSE_FIELDS};
    use crate::handler::fastcgi::RULE_TIMEOUTS;
    use crate::limits::RULE_LIMITS;
    use crate::section::{At, Group, Key, Pairs, Table};
    use std::time::Duration;

    /// Variables of PHP.
    pub static SET_ENV: Key<Pairs> = Key::pairs("set_env", "Variables that PHP gets, after all others and in the order of the rules, whatever they were before: templates, and an empty value is sent. No client can set one. With its name a value has at most 65535 bytes, as PHP reads no longer one.").example("{ APP_ENV = \"production\", TENANT = \"$1\" }");

    /// Variables that PHP does not get.
    pub static UNSET_ENV: Key<Vec<At<String>>> =
        Key::texts("unset_env", "Variables that PHP does not get.").example("[\"REMOTE_PORT\"]");

    /// Settings of PHP.
    pub static PHP_VALUE: Key<Pairs> = Key::pairs("php_value", "Settings of PHP for the request, which ini_set() may change: texts, numbers, true and false. PHP-FPM leaves them in the worker that got them, for its later requests too, until they are set again: give what differs a pool of its own, or set the same names for all requests of a pool.").example("{ memory_limit = \"512M\", display_errors = false }");

    /// Settings of PHP that stand.
    pub static PHP_ADMIN_VALUE: Key<Pairs> =
        Key::pairs("php_admin_value", "The same, which no script can change.")
            .example("{ open_basedir = \"/srv/app:/tmp\" }");

    /// What PHP sees of the request.
    pub static REQUEST_HEADERS: Key<Table> = Key::table(
        "request_headers",
        &REQUEST_FIELDS,
        "Changes of the request's fields, as PHP sees them.",
    )
    .example("{ remove = [\"Accept-Encoding\"] }");

    /// What the client sees of the answer.
    pub static RESPONSE_HEADERS: Key<Table> = Key::table("response_headers", &RESPONSE_FIELDS, "Changes of the answer's fields, whoever made it: PHP, a file, or the gateway with an error.").example("{ set = { X-Frame-Options = \"DENY\" } }");

    /// What is kept for a class of requests; a site has it too.
    pub static RESERVE: Key<Option<u8>> = Key::percent("reserve", "The part of PHP that is kept for these requests when there are more than it can serve: at least so many of the workers that come free go to them while any of them waits, and so many of the places in the queue are theirs alone. Those that share an upstream may keep \"80 %\" of it together.").example("\"20 %\"");

    /// How long the answer is good.
    pub static EXPIRES: Key<Option<Duration>> = Key::duration("expires", "How long a client may keep the answer without asking again: Cache-Control with max-age, and Expires; of answers with a status of 200 to 399 that say nothing of it themselves.").example("\"30d\"");

    /// Other bounds on requests.
    pub static LIMITS: Key<Table> = Key::table(
        "limits",
        &RULE_LIMITS,
        "What requests that match may do otherwise than those of the site.",
    )
    .example("{ body = \"1GiB\" }");

    /// Other times of scripts.
    pub static TIMEOUTS: Key<Table> = Key::table("timeouts", &RULE_TIMEOUTS, "How long scripts that answer requests which match may take, otherwise than their upstream says.").example("{ first_byte = \"300s\" }");

    /// All of them: a rule that has one of these changes something.
    pub static MODIFIERS: Group = &[
        &SET_ENV,
        &UNSET_ENV,
        &PHP_VALUE,
        &PHP_ADMIN_VALUE,
        &REQUEST_HEADERS,
        &RESPONSE_HEADERS,
        &EXPIRES,
        &RESERVE,
        &LIMITS,
        &TIMEOUTS,
    ];
}

static REQUEST_FIELDS: Section = Section {
    title: "[site.rule.request_headers]",
    doc: "Changes of the request's fields, as PHP sees them. Conditions of rules see what the client sent.",
    groups: &[FIELD_KEYS],
};

static RESPONSE_FIELDS: Section = Section {
    title: "[site.rule.response_headers]",
    doc: "Changes of the answer's fields, whoever made it.",
    groups: &[FIELD_KEYS],
};

const FIELD_KEYS: Group = &[&SET, &ADD, &APPEND, &REMOVE];

pub(crate) static SET: Key<Pairs> = Key::pairs(
    "set",
    "Fields that are there with this value alone: templates.",
)
.example("{ X-Frame-Options = \"DENY\" }");

pub(crate) static ADD: Key<Pairs> = Key::pairs("add", "Further fields of the name.")
    .example("{ Link = \"</a.css>; rel=preload\" }");

static APPEND: Key<Pairs> = Key::pairs("append", "Further elements of the list that a field is.")
    .example("{ Vary = \"Accept-Language\" }");

static REMOVE: Key<Vec<At<String>>> =
    Key::texts("remove", "Fields that are not there.").example("[\"X-Powered-By\"]");

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

    /// Reports whether it answers a client with an error and nothing else.
    pub fn refuses(&self) -> bool {
        !self.internal && self.handler.as_ref().is_some_and(Handler::refuses)
    }

    /// Whether it is what [`Handler::ExcludeProxy`] keeps a request from.
    pub fn is_proxy_target(&self) -> bool {
        self.handler.as_ref().is_some_and(Handler::is_proxy_target)
    }
}

/// Changes with their variables.
#[derive(Debug, Default)]
pub struct Changes {
    /// Where the rule stands, as `file:line`.
    place: Arc<str>,
    environment: Vec<(Arc<str>, Option<Template>)>,
    php_values: [Option<Arc<str>>; 2],
    request: Vec<Edit>,
    answer: Vec<Edit>,
    expires: Option<Duration>,
    body_limit: Option<u64>,
    timeouts: Arc<[TimeLimit]>,
    reserve: Option<At<u8>>,
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
        if !keys::MODIFIERS.iter().any(|key| section.is_given(*key)) {
            return None;
        }
        let edits = |key: &Key<Table>, problems: &mut Problems| {
            let table = section.given(key);
            table.map_or_else(Vec::new, |table| {
                edits((key.name(), table), groups, problems)
            })
        };
        let limits = section.given(&keys::LIMITS);
        Some(Box::new(Self {
            place: show(&section.place()).into(),
            environment: environment(section, groups, problems),
            php_values: [&keys::PHP_VALUE, &keys::PHP_ADMIN_VALUE]
                .map(|key| php_values((key, section), problems)),
            request: edits(&keys::REQUEST_HEADERS, problems),
            answer: edits(&keys::RESPONSE_HEADERS, problems),
            expires: section.get(&keys::EXPIRES),
            body_limit: limits.and_then(|limits| Some(limits.given(&BODY)?.0)),
            timeouts: timeouts(section, show),
            reserve: reserve(section),
        }))
    }

    /// Returns what is kept for requests that match, in per cent.
    pub fn reserve(&self) -> Option<&At<u8>> {
        self.reserve.as_ref()
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
            place: Arc::clone(&self.place),
            environment: self.environment.iter().map(assign).collect(),
            php_values: self.php_values.clone(),
            request: resolve(&self.request),
            answer: resolve(&self.answer),
            expires: self.expires,
            body_limit: self.body_limit,
            timeouts: Arc::clone(&self.timeouts),
            has_reserve: self.reserve.is_some(),
        }
    }
}

/// Returns `reserve` of a site or rule, in per cent, where it is given.
pub fn reserve(section: &Lowered) -> Option<At<u8>> {
    section.get(&keys::RESERVE).map(|value| At {
        value,
        place: section.place_of(&keys::RESERVE),
    })
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
    let Some(table) = section.given(&keys::TIMEOUTS) else {
        return Arc::default();
    };
    let limits = RULE_TIMES.into_iter().filter_map(|(name, key)| {
        Some(TimeLimit {
            name,
            duration: table.given(key)?,
            place: show(&table.place_of(key)).into(),
        })
    });
    limits.collect()
}

fn edits(
    (key, table): (&'static str, &Lowered),
    groups: &Groups,
    problems: &mut Problems,
) -> Vec<Edit> {
    let mut edits = Vec::new();
    type Kind = (&'static Key<Pairs>, fn(Template) -> How);
    const KINDS: [Kind; 3] = [(&SET, How::Set), (&ADD, How::Add), (&APPEND, How::Append)];
    for (kind, how) in KINDS {
        for (name, value) in table.get(kind) {
            let name = field_name(&name, problems);
            let template = template(&value, groups, problems);
            if let (Some(name), Some(template)) = (name, template) {
                if key == keys::REQUEST_HEADERS.name() {
                    let variable = variable_of(&name);
                    check_length(&variable, template.literal_length(), &value.place, problems);
                }
                let how = how(template);
                edits.push(Edit { name, how });
            }
        }
    }
    for name in table.get(&REMOVE) {
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

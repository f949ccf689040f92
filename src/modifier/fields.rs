//! `request_headers` and `response_headers`: changes of fields.

use http::{HeaderName, HeaderValue};

use super::checks::{check_length, template};
use super::modify::{Inputs, Interruption, Modify, Parts};
use crate::message::edits::{FieldEdit, RuleEdits, variable_of};
use crate::message::hop_by_hop;
use crate::route::Scope;
use crate::route::template::Template;
use crate::section::{At, Group, Key, Lowered, Pairs, Problem, Problems, Section, Table};

/// The key for changes of the request's fields, as PHP sees them.
pub(crate) static REQUEST_HEADERS: Key<Table> = Key::table(
    "request_headers",
    &REQUEST_FIELDS,
    "Changes of the request's fields, as PHP sees them.",
)
.example("{ remove = [\"Accept-Encoding\"] }");

/// The key for changes of the answer's fields.
pub(super) static RESPONSE_HEADERS: Key<Table> = Key::table(
    "response_headers",
    &RESPONSE_FIELDS,
    "Changes of the answer's fields, with any source: PHP, a file, or an error of the gateway.",
)
.example("{ set = { X-Frame-Options = \"DENY\" } }");

static REQUEST_FIELDS: Section = Section {
    title: "[site.rule.request_headers]",
    doc: "Changes of the request's fields, as PHP sees them. Conditions of rules see the fields of the client.",
    groups: &[FIELD_KEYS],
};

static RESPONSE_FIELDS: Section = Section {
    title: "[site.rule.response_headers]",
    doc: "Changes of the answer's fields, with any source.",
    groups: &[FIELD_KEYS],
};

const FIELD_KEYS: Group = &[&SET, &ADD, &APPEND, &REMOVE];

pub(crate) static SET: Key<Pairs> = Key::pairs("set", "Fields that get this one value: templates.")
    .example("{ X-Frame-Options = \"DENY\" }");

pub(crate) static ADD: Key<Pairs> =
    Key::pairs("add", "Fields added to others of the same name: templates.")
        .example("{ Link = \"</a.css>; rel=preload\" }");

static APPEND: Key<Pairs> = Key::pairs(
    "append",
    "Elements added to the list in a field: templates.",
)
.example("{ Vary = \"Accept-Language\" }");

static REMOVE: Key<Vec<At<String>>> =
    Key::texts("remove", "Removed fields.").example("[\"X-Powered-By\"]");

/// Changes of the request's fields and of the answer's.
#[derive(Debug)]
pub(super) struct Fields {
    request: Vec<Edit>,
    answer: Vec<Edit>,
}

#[derive(Debug)]
struct Edit {
    name: HeaderName,
    operation: Operation,
}

#[derive(Debug)]
enum Operation {
    Set(Template),
    Add(Template),
    Append(Template),
    Remove,
}

impl Fields {
    /// Builds the changes from the section of a rule; `None` if there is none.
    pub(super) fn build(section: &Lowered, parts: &mut Parts<'_>) -> Option<Self> {
        let mut edits = |key: &Key<Table>| {
            let table = section.given(key);
            table.map_or_else(Vec::new, |table| edits(key, table, parts))
        };
        let (request, answer) = (edits(&REQUEST_HEADERS), edits(&RESPONSE_HEADERS));
        let is_empty = request.is_empty() && answer.is_empty();
        (!is_empty).then_some(Self { request, answer })
    }
}

impl Modify for Fields {
    /// Adds the changes, with every template expanded. A value that is not a field value (RFC 9110 §5.5) is left out.
    fn apply(
        &self,
        scope: &Scope<'_>,
        _: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        let resolve = |edit: &Edit| edit.resolve(scope);
        edits
            .request
            .extend(self.request.iter().filter_map(resolve));
        edits.answer.extend(self.answer.iter().filter_map(resolve));
        Ok(())
    }
}

impl Edit {
    fn resolve(&self, scope: &Scope<'_>) -> Option<FieldEdit> {
        let value = |template: &Template| HeaderValue::from_bytes(&template.expand(scope)).ok();
        let name = self.name.clone();
        match &self.operation {
            Operation::Set(template) => Some(FieldEdit::Set(name, value(template)?)),
            Operation::Add(template) => Some(FieldEdit::Add(name, value(template)?)),
            Operation::Append(template) => Some(FieldEdit::Append(name, value(template)?)),
            Operation::Remove => Some(FieldEdit::Remove(name)),
        }
    }
}

fn edits(key: &Key<Table>, table: &Lowered, parts: &mut Parts<'_>) -> Vec<Edit> {
    type Kind = (&'static Key<Pairs>, fn(Template) -> Operation);
    const KINDS: [Kind; 3] = [
        (&SET, Operation::Set),
        (&ADD, Operation::Add),
        (&APPEND, Operation::Append),
    ];
    let (groups, problems) = (parts.groups, &mut *parts.problems);
    let mut edits = Vec::new();
    for (kind, operation) in KINDS {
        for (name, value) in table.get(kind) {
            let name = field_name(&name, problems);
            let template = template(&value, groups, problems);
            if let (Some(name), Some(template)) = (name, template) {
                if key.name() == REQUEST_HEADERS.name() {
                    let variable = variable_of(&name);
                    check_length(&variable, template.literal_length(), &value.place, problems);
                }
                let operation = operation(template);
                edits.push(Edit { name, operation });
            }
        }
    }
    for name in table.get(&REMOVE) {
        let name = field_name(&name, problems);
        edits.extend(name.map(|name| Edit {
            name,
            operation: Operation::Remove,
        }));
    }
    edits
}

/// Parses the name of a field; those that frame a message are set by the gateway alone.
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

//! Changes that matching rules make to a request and to its answer, apart from the choice of the
//! handler. A rule's edits replace those of an earlier round, so that none is made twice.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::RemoteUser;
use crate::value::TimeLimit;

/// The edits of one request, in the order of the rules.
#[derive(Clone, Debug, Default)]
pub struct Edits(Vec<RuleEdits>);

/// Identity of a rule among all rules of a site and its folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleId {
    /// The list of the rule: 0 for the site's own, others for those of folders.
    pub source: u16,
    /// The number in that list, from 0.
    pub number: usize,
}

/// The edits of one rule, with every variable replaced by its value.
#[derive(Clone, Debug, Default)]
pub struct RuleEdits {
    /// The rule.
    pub rule: RuleId,
    /// The position of the rule, as `file:line`.
    pub place: Arc<str>,
    /// Variables of PHP, in order.
    pub environment: Vec<Assignment>,
    /// `php_value` and `php_admin_value`, one `name=value` a line.
    pub php_values: [Option<Arc<str>>; 2],
    /// Field changes of the request that PHP gets.
    pub request: Vec<FieldEdit>,
    /// Field changes of the answer.
    pub answer: Vec<FieldEdit>,
    /// Lifetime of the answer in caches.
    pub expires: Option<Duration>,
    /// `limits.body`, in bytes.
    pub body_limit: Option<u64>,
    /// Time limits of a script.
    pub timeouts: Option<Arc<[TimeLimit]>>,
    /// The user whom the rule has authenticated.
    pub user: Option<RemoteUser>,
    /// A rule with `auth` applies: PHP does not get the credentials.
    pub has_auth: bool,
    /// True where workers are reserved for requests that match the rule.
    pub has_reserve: bool,
}

/// A meta-variable to set or unset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The name.
    pub name: Arc<str>,
    /// The value; `None` unsets the variable.
    pub value: Option<Vec<u8>>,
}

/// A change of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldEdit {
    /// Replaces all fields of the name.
    Set(HeaderName, HeaderValue),
    /// Adds a field of the name.
    Add(HeaderName, HeaderValue),
    /// Appends an element to the list in the last field of the name (RFC 9110 §5.3).
    Append(HeaderName, HeaderValue),
    /// Removes all fields of the name.
    Remove(HeaderName),
}

impl RuleId {
    /// Returns the identity of the site's own rule with this number.
    pub fn of_site(number: usize) -> Self {
        Self { source: 0, number }
    }
}

impl RuleEdits {
    /// Builds the edits of a rule that changes nothing.
    pub fn of(rule: RuleId, place: Arc<str>) -> Self {
        // Not by `default`: an empty `Arc<str>` is one for all threads, and counted.
        Self {
            rule,
            place,
            environment: Vec::new(),
            php_values: [None, None],
            request: Vec::new(),
            answer: Vec::new(),
            expires: None,
            body_limit: None,
            timeouts: None,
            user: None,
            has_auth: false,
            has_reserve: false,
        }
    }

    /// Builds edits that no rule of the request makes, and that change nothing.
    pub fn of_no_rule() -> Self {
        let rule = RuleId {
            source: u16::MAX,
            number: 0,
        };
        Self::of(rule, Arc::default())
    }

    /// Builds the edits of a request whose credentials PHP does not get.
    pub fn with_auth() -> Self {
        Self {
            has_auth: true,
            ..Self::of_no_rule()
        }
    }

    /// Returns the results of authentication alone: the user and the fields; `None` without any.
    pub fn of_guards(self) -> Option<Self> {
        let has_fields = !self.request.is_empty() || !self.answer.is_empty();
        (has_fields || self.has_auth || self.user.is_some()).then(|| Self {
            request: self.request,
            answer: self.answer,
            user: self.user,
            has_auth: self.has_auth,
            ..Self::of(self.rule, self.place)
        })
    }
}

impl Edits {
    /// Sets the edits of a matching rule in place of its earlier ones.
    pub fn set_rule(&mut self, edits: RuleEdits) {
        self.0.retain(|known| known.rule != edits.rule);
        self.0.push(edits);
    }

    /// Returns the edits of `earlier` rules and then those of `later` ones; a rule in both has its later edits alone.
    pub fn joined(earlier: Option<Arc<Self>>, later: Option<Arc<Self>>) -> Option<Arc<Self>> {
        let (Some(earlier), Some(later)) = (&earlier, &later) else {
            return earlier.or(later);
        };
        let mut joined = Self::clone(earlier);
        for edits in &later.0 {
            joined.set_rule(edits.clone());
        }
        Some(Arc::new(joined))
    }

    /// Iterates over the variables for PHP, in order.
    pub fn environment(&self) -> impl Iterator<Item = &Assignment> {
        self.0.iter().flat_map(|edits| &edits.environment)
    }

    /// Returns the lines of PHP_VALUE (0) or PHP_ADMIN_VALUE (1), where there are any.
    pub fn php_values(&self, kind: usize) -> Option<String> {
        let values = self.0.iter().filter_map(|edits| edits.php_values.get(kind));
        let lines: Vec<&str> = values.flatten().map(AsRef::as_ref).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// Returns the places of the rules that set the variable `name`; none where its value is the client's.
    pub fn places_of(&self, name: &[u8]) -> Vec<&str> {
        let assigns = |edits: &&RuleEdits| {
            let mut environment = edits.environment.iter();
            environment.any(|assignment| assignment.name.as_bytes() == name)
        };
        if let Some(last) = self.0.iter().rev().find(assigns) {
            return vec![&last.place];
        }
        let sets = |edits: &&RuleEdits| {
            let kinds = ["PHP_VALUE", "PHP_ADMIN_VALUE"]
                .iter()
                .zip(&edits.php_values);
            let mut lines = kinds.filter(|(_, lines)| lines.is_some());
            lines.any(|(kind, _)| kind.as_bytes() == name)
                || edits.request.iter().any(|edit| edit.sets(name))
        };
        self.0
            .iter()
            .filter(sets)
            .map(|edits| &*edits.place)
            .collect()
    }

    /// Changes the fields of the request.
    pub fn apply_to_request(&self, fields: &mut HeaderMap) {
        let edits = self.0.iter().flat_map(|edits| &edits.request);
        edits.for_each(|edit| edit.apply(fields));
    }

    /// Changes the fields of the answer.
    pub fn apply_to_answer(&self, fields: &mut HeaderMap) {
        let edits = self.0.iter().flat_map(|edits| &edits.answer);
        edits.for_each(|edit| edit.apply(fields));
    }

    /// Returns the lifetime of the answer in caches, from the last rule that sets it.
    pub fn expires(&self) -> Option<Duration> {
        self.0.iter().rev().find_map(|edits| edits.expires)
    }

    /// Iterates over the time limits of a script; of one name the last counts.
    pub fn timeouts(&self) -> impl Iterator<Item = &TimeLimit> {
        let limits = self.0.iter().filter_map(|edits| edits.timeouts.as_deref());
        limits.flatten()
    }

    /// Returns the last rule that reserves workers for the request.
    pub fn reserving_rule(&self) -> Option<RuleId> {
        let reserving = self.0.iter().rev().find(|edits| edits.has_reserve);
        reserving.map(|edits| edits.rule)
    }

    /// Reports whether a rule with `auth` applies.
    pub fn has_auth(&self) -> bool {
        self.0.iter().any(|edits| edits.has_auth)
    }

    /// Reports whether a rule with `auth` applies that comes before this one.
    pub fn has_auth_before(&self, rule: RuleId) -> bool {
        let mut before = self
            .0
            .iter()
            .filter(|edits| edits.rule.number < rule.number);
        before.any(|edits| edits.has_auth)
    }

    /// Returns the user whom the last rule with authentication has authenticated.
    pub fn user(&self) -> Option<&RemoteUser> {
        self.0.iter().rev().find_map(|edits| edits.user.as_ref())
    }

    /// Returns `limits.body` from the last rule that sets it, in bytes.
    pub fn body_limit(&self) -> Option<u64> {
        self.0.iter().rev().find_map(|edits| edits.body_limit)
    }
}

impl FieldEdit {
    /// Reports whether this edit alone determines the value of the variable, whatever the client sent.
    fn sets(&self, variable: &[u8]) -> bool {
        let Self::Set(field, _) = self else {
            return false;
        };
        variable == variable_of(field).as_bytes()
    }

    fn apply(&self, fields: &mut HeaderMap) {
        match self {
            Self::Set(name, value) => drop(fields.insert(name, value.clone())),
            Self::Add(name, value) => drop(fields.append(name, value.clone())),
            Self::Remove(name) => drop(fields.remove(name)),
            Self::Append(name, value) => append(fields, name, value),
        }
    }
}

/// Returns the name of a field's meta-variable (RFC 3875 §4.1.3, §4.1.18).
pub fn variable_of(field: &HeaderName) -> String {
    let name = field.as_str().replace('-', "_").to_ascii_uppercase();
    if field == header::CONTENT_TYPE {
        return name;
    }
    format!("HTTP_{name}")
}

/// Reports whether two fields have the same meta-variable once all bytes but letters and digits are underscores.
pub fn have_same_variable(one: &HeaderName, other: &HeaderName) -> bool {
    let plain = |name: &HeaderName, index| {
        let byte = name.as_str().as_bytes().get(index).copied();
        byte.filter(u8::is_ascii_alphanumeric)
    };
    let mut indices = 0..one.as_str().len();
    one.as_str().len() == other.as_str().len()
        && indices.all(|index| plain(one, index) == plain(other, index))
}

fn append(fields: &mut HeaderMap, name: &HeaderName, value: &HeaderValue) {
    let last = fields.get_all(name).iter().next_back().cloned();
    let Some(last) = last.filter(|last| !last.is_empty()) else {
        fields.insert(name, value.clone());
        return;
    };
    let joined = [last.as_bytes(), b", ", value.as_bytes()].concat();
    // Two field values joined by a comma are a field value.
    let Ok(joined) = HeaderValue::from_bytes(&joined) else {
        return;
    };
    let mut values: Vec<_> = fields.get_all(name).iter().cloned().collect();
    values.pop();
    fields.remove(name);
    for value in values.into_iter().chain([joined]) {
        fields.append(name, value);
    }
}

#[cfg(test)]
mod tests;

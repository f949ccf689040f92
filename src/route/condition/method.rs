//! `method`: the request method, case-sensitive (RFC 9110 §9.1). GET stands for HEAD too, since
//! HEAD asks for what GET would answer (RFC 9110 §9.3.2).

use std::fmt;

use http::Method;

use super::set::Builder;
use super::shown::alternatives;
use super::{Condition, Cost, Criterion, Exhausted, listed};
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::section::{At, Key, Lowered, Problem, Problems};

/// The `method` key.
pub(super) static KEY: Key<Vec<At<String>>> = Key::texts(
    "method",
    "The request method: one or a list of alternatives. GET stands for HEAD too.",
)
.example("[\"GET\", \"POST\"]");

/// Methods of which one must be the request's.
#[derive(Debug)]
pub struct MethodCondition(Vec<Method>);

impl MethodCondition {
    /// What is no method is a problem.
    pub fn new(texts: &[At<String>], problems: &mut Problems) -> Self {
        let methods = texts.iter().filter_map(|text| parse(text, problems));
        Self(methods.collect())
    }

    /// Whether `method` is one of them.
    pub fn names(&self, method: &Method) -> bool {
        let asked = match *method {
            Method::HEAD => &Method::GET,
            _ => method,
        };
        let mut methods = self.0.iter();
        methods.any(|known| known == asked || known == method)
    }
}

pub(super) fn build(section: &Lowered, builder: &mut Builder<'_>) -> Option<MethodCondition> {
    let texts = listed(section, &KEY, builder.problems)?;
    Some(MethodCondition::new(&texts, builder.problems))
}

impl Criterion for MethodCondition {
    fn cost(&self) -> Cost {
        Cost::Word
    }

    fn holds(&self, request: &Request, _: &dyn Disk, _: &mut Captures) -> Result<bool, Exhausted> {
        Ok(self.names(&request.method))
    }

    fn by_method(&self, method: &Method) -> Option<bool> {
        Some(self.names(method))
    }

    fn covers(&self, other: &Condition) -> bool {
        let Condition::Method(other) = other else {
            return false;
        };
        other.0.iter().all(|method| {
            let head = *method == Method::HEAD && self.0.contains(&Method::GET);
            head || self.0.contains(method)
        })
    }
}

impl fmt::Display for MethodCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "method {}", alternatives(&self.0))
    }
}

fn parse(text: &At<String>, problems: &mut Problems) -> Option<Method> {
    let upper = text.value.to_ascii_uppercase();
    if upper != text.value && Method::from_bytes(upper.as_bytes()).is_ok() {
        problems.push(
            Problem::new(
                text.place.clone(),
                format!("`{}` is not a method that clients send", text.value),
            )
            .help(format!("methods are case-sensitive: write \"{upper}\"")),
        );
        return None;
    }
    match Method::from_bytes(text.value.as_bytes()) {
        Ok(method) => Some(method),
        Err(_) => {
            problems.push(Problem::new(
                text.place.clone(),
                format!("`{}` is not a method", text.value),
            ));
            None
        }
    }
}

//! `method`: the request method, case-sensitive (RFC 9110 §9.1). GET stands for HEAD too, since
//! HEAD asks for what GET would answer (RFC 9110 §9.3.2).

use http::Method;

use crate::message::Request;
use crate::section::{At, Key, Kind, Problem, Problems};

/// The `method` key.
pub const KEY: Key = Key::new(
    "method",
    Kind::Texts,
    "The request method: one or a list of alternatives. GET stands for HEAD too.",
)
.example("[\"GET\", \"POST\"]");

/// Methods of which one must be the request's.
#[derive(Debug)]
pub struct MethodCondition(pub(super) Vec<Method>);

impl MethodCondition {
    /// What is no method is a problem.
    pub fn new(texts: &[At<String>], problems: &mut Problems) -> Self {
        let methods = texts.iter().filter_map(|text| parse(text, problems));
        Self(methods.collect())
    }

    /// Whether it holds wherever `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|method| {
            let head = *method == Method::HEAD && self.0.contains(&Method::GET);
            head || self.0.contains(method)
        })
    }

    /// Whether the request's method is one of them.
    pub fn holds(&self, request: &Request) -> bool {
        self.names(&request.method)
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

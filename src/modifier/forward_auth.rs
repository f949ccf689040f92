//! `forward_auth`: access by the answer to a subrequest, as with nginx's auth_request and Caddy's forward_auth.

mod build;
mod subrequest;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};

use super::fact::{Answer, Ask, Fact, Subrequest};
use super::modify::{Inputs, Interruption, Modify};
use crate::failure::{Failure, Undecided};
use crate::handler::Body;
use crate::message::edits::{FieldEdit, RuleEdits, have_same_variable};
use crate::message::{RemoteUser, Target, hop_by_hop, list};
use crate::route::Scope;

pub(super) use build::FORWARD_AUTH;

/// Access by the answer to a subrequest.
#[derive(Debug)]
pub(super) struct ForwardAuth {
    /// The target of the subrequest.
    target: Target,
    /// The fields of the request that are copied; `None` for all that apply to a GET without content.
    request_fields: Option<Vec<HeaderName>>,
    /// The fields of the answer that replace those of the request.
    answer_fields: Vec<HeaderName>,
    /// Set-Cookie fields of a granting answer are sent to the client.
    copies_cookies: bool,
    /// The field of the answer that names the user.
    user: Option<HeaderName>,
}

impl Modify for ForwardAuth {
    /// Asks for the answer to the subrequest, and grants access, passes the answer on, or refuses the request.
    fn apply(
        &self,
        scope: &Scope<'_>,
        inputs: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        if inputs.asked_by.contains(&edits.rule) {
            self.remove_fields(&scope.request.fields, edits);
            return Ok(());
        }
        let ask = Ask::Subrequest(Box::new(Subrequest {
            rule: edits.rule,
            target: self.target.clone(),
            fields: subrequest::fields(scope.request, self),
            has_auth: subrequest::has_auth(scope.request, self, edits),
            timeouts: edits.timeouts.clone(),
        }));
        let Some(Fact::Answered(answer)) = inputs.facts.find(&ask) else {
            return Err(Interruption::Ask(ask));
        };
        if answer.status.is_success() {
            self.grant(answer, &scope.request.fields, edits);
            return Ok(());
        }
        if is_passed_on(answer) {
            return Err(Interruption::Answer(Box::new(pass_on(answer))));
        }
        Err(Interruption::Refuse(Failure::ForwardAuth(Undecided {
            path: self.target.raw().into(),
            status: answer.status,
            place: Arc::clone(&edits.place),
        })))
    }

    fn is_guard(&self) -> bool {
        true
    }

    fn authenticates(&self) -> bool {
        self.user.is_some()
    }

    fn subrequest(&self) -> Option<&Target> {
        Some(&self.target)
    }
}

impl ForwardAuth {
    /// Adds the fields and the user of a granting answer.
    fn grant(&self, answer: &Answer, fields: &HeaderMap, edits: &mut RuleEdits) {
        self.remove_fields(fields, edits);
        let copied = self.answer_fields.iter().filter_map(|name| {
            let value = list::joined(&answer.fields, name)?;
            Some(FieldEdit::Set(name.clone(), value))
        });
        edits.request.extend(copied);
        if self.copies_cookies {
            let cookies = answer.fields.get_all(header::SET_COOKIE).into_iter();
            let sent = cookies.map(|cookie| FieldEdit::Add(header::SET_COOKIE, cookie.clone()));
            edits.answer.extend(sent);
        }
        let user = self.user.as_ref();
        let name = user.and_then(|user| list::joined(&answer.fields, user));
        if let Some(name) = name.filter(|name| !name.as_bytes().trim_ascii().is_empty()) {
            edits.user = Some(RemoteUser {
                name: name.as_bytes().trim_ascii().into(),
                scheme: None,
                groups: None,
            });
        }
    }

    /// Removes the fields of the client that have the meta-variable of a field of the answer, in every spelling.
    fn remove_fields(&self, fields: &HeaderMap, edits: &mut RuleEdits) {
        let forged = fields.keys().filter(|name| self.is_own(name));
        edits.request.extend(forged.cloned().map(FieldEdit::Remove));
    }

    /// Reports whether the value of a field is that of the answer alone.
    fn is_own(&self, name: &HeaderName) -> bool {
        let mut own = self.answer_fields.iter();
        own.any(|own| have_same_variable(own, name))
    }
}

/// Reports whether an answer is for the client: it asks for a login, or refuses. 304 answers a condition, and a
/// subrequest has none (RFC 9110 §15.4.5).
fn is_passed_on(answer: &Answer) -> bool {
    let is_redirect = answer.status.is_redirection() && answer.status != StatusCode::NOT_MODIFIED;
    is_redirect || matches!(answer.status.as_u16(), 401 | 403)
}

/// Builds the response of an answer that is for the client.
fn pass_on(answer: &Answer) -> Response<Body> {
    let mut response = Response::new(Body::bytes(Bytes::clone(&answer.content)));
    *response.status_mut() = answer.status;
    let fields = response.headers_mut();
    fields.clone_from(&answer.fields);
    hop_by_hop::strip(fields);
    fields.remove(header::CONTENT_LENGTH);
    response
}

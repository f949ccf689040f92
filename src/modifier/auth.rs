//! `auth`: Basic authentication (RFC 7617). The second part of the access policy of a rule.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use super::access_section::{
    ATTEMPTS, AUTH, BASIC, GROUPS, PER_MINUTE, REALM, REMEMBER, SEND_FORBIDDEN, USERS,
};
use super::fact::{Ask, Fact};
use super::modify::{Inputs, Interruption, Modify, Parts};
use super::policy::Policy;
use crate::auth::basic::{Basic, Verification, Verified};
use crate::auth::users::{Unavailable, UserFile, credentials};
use crate::failure::{Failure, Unauthorized, UnauthorizedReason};
use crate::limits::rate::Client;
use crate::message::edits::RuleEdits;
use crate::message::{Credentials, RemoteUser, Request};
use crate::route::condition::Access;
use crate::route::{BacktrackLimitExceeded, Scope};
use crate::section::{At, Key, Lowered, Problem, absolute_path};

/// Basic authentication by the access policy of a rule.
#[derive(Debug)]
pub(super) struct Auth {
    policy: Arc<Policy>,
    basic: Arc<Basic>,
    challenge: HeaderValue,
    /// The answer to an authenticated user who is not admitted.
    not_admitted: StatusCode,
}

impl Auth {
    /// Builds the authentication from the section of a rule; `None` without the key.
    pub(super) fn build(section: &Lowered, parts: &mut Parts<'_>) -> Option<Self> {
        let auth = section.given(&AUTH)?;
        let Some(basic) = auth.given(&BASIC) else {
            if !auth.is_wrong(&BASIC) {
                let problem = Problem::new(auth.place(), "`auth` has no scheme");
                parts.problems.push(
                    problem.help("basic = { realm = \"Staging\", users = \"/etc/fcgate/users\" }"),
                );
            }
            return None;
        };
        let challenge = challenge(basic, parts);
        let path = required(basic, &USERS, parts);
        let groups = basic.get(&GROUPS);
        let users = open(path?, groups, parts);
        let not_admitted = if basic.get(&SEND_FORBIDDEN) {
            StatusCode::FORBIDDEN
        } else {
            StatusCode::UNAUTHORIZED
        };
        Some(Self {
            policy: Arc::clone(parts.policy.as_ref()?),
            basic: Arc::new(Basic {
                users: users?,
                verifier: parts.authentication.verifier.clone(),
                remember: basic.get(&REMEMBER),
                attempts_per_minute: basic.get(&ATTEMPTS).get(&PER_MINUTE),
            }),
            challenge: challenge?,
            not_admitted,
        })
    }

    /// Returns the user of a pair, if it is right.
    fn authenticate(
        &self,
        credentials: Credentials,
        request: &Request,
        inputs: &Inputs<'_>,
        place: &Arc<str>,
    ) -> Result<RemoteUser, Interruption> {
        if let Some(user) = self
            .basic
            .recall(&credentials, inputs.disk, (inputs.now, inputs.wall))
        {
            return Ok(user);
        }
        let name: Arc<[u8]> = Arc::from(&*credentials.user);
        let ask = Ask::Verify(Box::new(Verification {
            basic: Arc::clone(&self.basic),
            credentials,
            client: request.wire.client.map(Client::new),
            is_shared: request.wire.is_client_unknown,
        }));
        let failure = match inputs.facts.find(&ask) {
            Some(Fact::Verified(Verified::Right(user))) => return Ok(user.clone()),
            Some(Fact::Verified(Verified::Wrong { is_known })) => {
                let (user, is_known) = (name, *is_known);
                self.unauthorized(UnauthorizedReason::WrongPassword { user, is_known }, place)
            }
            Some(Fact::Verified(Verified::Rejected(rejected))) => Failure::Unverified(*rejected),
            Some(Fact::Verified(Verified::Unavailable(error))) => Failure::UserFile {
                error: error.clone(),
                place: Arc::clone(place),
            },
            Some(Fact::Answered(_)) | None => return Err(Interruption::Ask(ask)),
        };
        Err(Interruption::Refuse(failure))
    }

    fn unauthorized(&self, reason: UnauthorizedReason, place: &Arc<str>) -> Failure {
        let status = match reason {
            UnauthorizedReason::NotAdmitted(_) => self.not_admitted,
            UnauthorizedReason::NoCredentials | UnauthorizedReason::WrongPassword { .. } => {
                StatusCode::UNAUTHORIZED
            }
        };
        Failure::Unauthorized(Box::new(Unauthorized {
            status,
            reason,
            challenge: self.challenge.clone(),
            place: Arc::clone(place),
        }))
    }
}

impl Modify for Auth {
    /// Authenticates the user where access depends on one.
    fn apply(
        &self,
        scope: &Scope<'_>,
        inputs: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        edits.has_auth = true;
        let mut access = Access {
            request: scope.request,
            user: None,
            captures: scope.captures,
            disk: inputs.disk,
        };
        let by_policy = |access: &Access<'_>, place: &Arc<str>| {
            let admitted = self.policy.admits(access);
            admitted.map_err(|error| BacktrackLimitExceeded::of_rule(place, error))
        };
        if by_policy(&access, &edits.place)? == Some(true) {
            return Ok(());
        }
        let refuse =
            |reason, place: &Arc<str>| Err(Interruption::Refuse(self.unauthorized(reason, place)));
        let Some(credentials) = credentials(&scope.request.fields) else {
            return refuse(UnauthorizedReason::NoCredentials, &edits.place);
        };
        let user = self.authenticate(credentials, scope.request, inputs, &edits.place)?;
        access.user = Some(&user);
        if by_policy(&access, &edits.place)? != Some(true) {
            let name = Arc::clone(&user.name);
            return refuse(UnauthorizedReason::NotAdmitted(name), &edits.place);
        }
        edits.user = Some(user);
        Ok(())
    }

    fn is_guard(&self) -> bool {
        true
    }

    fn authenticates(&self) -> bool {
        true
    }
}

/// Returns the value of a key without which the scheme cannot work.
fn required(
    basic: &Lowered,
    key: &'static Key<Option<At<String>>>,
    parts: &mut Parts<'_>,
) -> Option<At<String>> {
    let value = basic.get(key);
    if value.is_none() && !basic.is_wrong(key) {
        let message = format!("`basic` needs `{}`", key.name());
        let problem = Problem::new(basic.place(), message);
        let help = "basic = { realm = \"Staging\", users = \"/etc/fcgate/users\" }";
        parts.problems.push(problem.help(help));
    }
    value
}

/// Opens the files of users and groups.
fn open(
    users: At<String>,
    groups: Option<At<String>>,
    parts: &mut Parts<'_>,
) -> Option<Arc<UserFile>> {
    let path = absolute_path(&users, parts.problems);
    let groups_path = match &groups {
        Some(groups) => Some(absolute_path(groups, parts.problems)?),
        None => None,
    };
    let opened = parts
        .authentication
        .files
        .open(&path?, groups_path.as_deref());
    match opened {
        Ok(file) => {
            for warning in file.warnings() {
                let problem = Problem::new(users.place.clone(), warning);
                parts.problems.warn(problem);
            }
            Some(file)
        }
        Err(error) => {
            let of_groups = groups_path.is_some_and(|path| error.is_of(&path));
            let (place, help) = match groups.filter(|_| of_groups) {
                Some(groups) => (
                    groups.place,
                    "write lines of `group: user user`, and let the gateway's user read the file",
                ),
                None => (users.place, help_for_users(&error)),
            };
            let problem = Problem::new(place, error.to_string());
            parts.problems.push(problem.help(help));
            None
        }
    }
}

/// Returns the remedy for an error of a file of users.
fn help_for_users(error: &Unavailable) -> &'static str {
    // `-c` empties a file that exists.
    if error.is_missing() {
        "`htpasswd -c -B FILE USER` creates it"
    } else {
        "let the gateway's user read the file; `htpasswd -B FILE USER` adds an entry"
    }
}

/// Builds the value of WWW-Authenticate (RFC 7617 §2, §2.1).
fn challenge(basic: &Lowered, parts: &mut Parts<'_>) -> Option<HeaderValue> {
    let realm = required(basic, &REALM, parts)?;
    let quoted = realm.value.replace('\\', "\\\\").replace('"', "\\\"");
    let value = format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"");
    let parsed = HeaderValue::from_bytes(value.as_bytes());
    if parsed.is_err() {
        let message = "the realm contains a control character";
        parts.problems.push(Problem::new(realm.place, message));
    }
    parsed.ok()
}

//! `auth`: Basic authentication (RFC 7617). The second part of the access policy of a rule.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::fact::{Ask, Fact};
use super::modify::{Inputs, Interruption, Modify, Parts};
use super::policy::Policy;
use crate::auth::basic::{Basic, Verification, Verified};
use crate::auth::users::{UserFile, credentials};
use crate::failure::{Failure, Unauthorized, UnauthorizedReason};
use crate::limits::rate::Client;
use crate::message::edits::RuleEdits;
use crate::message::{Credentials, RemoteUser, Request};
use crate::route::Scope;
use crate::route::condition::Access;
use crate::section::{At, Key, Lowered, Problem, Section, Table, absolute_path};

/// The key for authentication.
pub(super) static AUTH: Key<Table> = Key::table(
    "auth",
    &AUTH_SECTION,
    "Authentication of users. It holds for every path that an application may read in the target, and PHP gets REMOTE_USER and AUTH_TYPE.",
)
.example("{ basic = { realm = \"Staging\", users = \"/etc/fcgate/users\" } }");

static AUTH_SECTION: Section = Section {
    title: "[site.rule.auth]",
    doc: "Authentication of users, as Apache's AuthType.",
    groups: &[&[&BASIC, &SATISFY]],
};

/// The key for the Basic scheme.
pub(super) static BASIC: Key<Table> = Key::table(
    "basic",
    &BASIC_SECTION,
    "The Basic scheme: user and password by the browser's dialogue. Use it over TLS alone, as the password is sent with every request.",
)
.example("{ realm = \"Staging\", users = \"/etc/fcgate/users\" }");

/// The key for the connection of `require` and users.
pub(super) static SATISFY: Key<At<String>> = Key::one_of(
    "satisfy",
    &["all", "any"],
    "Apache's Satisfy. \"all\": the conditions of `require` must hold and a user must log in. \"any\": either is enough, so that clients of a network named by `require` need no password.",
)
.default("\"all\"");

static BASIC_SECTION: Section = Section {
    title: "[site.rule.auth.basic]",
    doc: "The Basic scheme (RFC 7617), as Apache's AuthType Basic.",
    groups: &[&[
        &REALM,
        &USERS,
        &GROUPS,
        &REQUIRE_LINES,
        &REMEMBER,
        &ATTEMPTS,
        &SEND_FORBIDDEN,
    ]],
};

static REALM: Key<Option<At<String>>> = Key::text(
    "realm",
    "Name of the protected area, which the dialogue shows: Apache's AuthName. A client sends the same password to all paths of a realm.",
)
.shown("\"Staging\"");

static USERS: Key<Option<At<String>>> = Key::text(
    "users",
    "File of users and password hashes, as htpasswd writes it: Apache's AuthUserFile, an absolute path. bcrypt ($2y$), SHA-crypt ($5$, $6$), Argon2id, $apr1$ and {SHA}; not DES crypt and plain text. It is read again when it changes.",
)
.shown("\"/etc/fcgate/users\"");

static GROUPS: Key<Option<At<String>>> = Key::text(
    "groups",
    "File of groups with lines of `group: user user`: Apache's AuthGroupFile, an absolute path.",
)
.example("\"/etc/fcgate/groups\"");

/// The key for the admitted users.
pub(super) static REQUIRE_LINES: Key<Vec<At<String>>> = Key::texts(
    "require",
    "Admitted users, as Apache's Require: \"user alice bob\", \"group staff\", \"valid-user\"; one of them is enough.",
)
.default("[\"valid-user\"]");

static REMEMBER: Key<Duration> = Key::duration(
    "remember",
    "Time for which a verified password is not hashed again. A changed entry of the file counts at once. \"0s\": never.",
)
.default("\"60s\"");

static ATTEMPTS: Key<Table> = Key::table(
    "attempts",
    &ATTEMPTS_SECTION,
    "Limit of wrong passwords of a client.",
);

static ATTEMPTS_SECTION: Section = Section {
    title: "[site.rule.auth.basic.attempts]",
    doc: "Limit of wrong passwords of a client, which is an IPv4 address or an IPv6 /64; behind a proxy that is not trusted, of a client and a user.",
    groups: &[&[&PER_MINUTE]],
};

static PER_MINUTE: Key<usize> = Key::integer(
    "per_minute",
    0..=1_000_000,
    "Maximum number of wrong passwords within a minute; then 429 with Retry-After. Right passwords do not count. 0: no limit.",
)
.default("10");

static SEND_FORBIDDEN: Key<bool> = Key::flag(
    "send_forbidden_on_failure",
    "Answers 403 to an authenticated user who is not admitted, and not 401, which asks for another user: Apache's AuthzSendForbiddenOnFailure.",
)
.default("false");

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
        let ask = Ask::Verify(Box::new(Verification {
            basic: Arc::clone(&self.basic),
            credentials,
            client: request.wire.client.map(Client::new),
            is_shared: request.wire.is_client_unknown,
        }));
        let failure = match inputs.facts.find(&ask) {
            Some(Fact::Verified(Verified::Right(user))) => return Ok(user.clone()),
            Some(Fact::Verified(Verified::Wrong)) => {
                self.unauthorized(UnauthorizedReason::WrongPassword, place)
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
            UnauthorizedReason::NoCredentials | UnauthorizedReason::WrongPassword => {
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
        let mut access = Access {
            request: scope.request,
            user: None,
            captures: scope.captures,
            disk: inputs.disk,
        };
        let by_policy = |access: &Access<'_>, place: &Arc<str>| {
            let admitted = self.policy.admits(access);
            admitted.map_err(|exhausted| exhausted.at(place))
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
        parts.problems.push(Problem::new(basic.place(), message));
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
    let groups = match groups {
        Some(groups) => Some(absolute_path(&groups, parts.problems)?),
        None => None,
    };
    match parts.authentication.files.open(&path?, groups.as_deref()) {
        Ok(file) => {
            for warning in file.warnings() {
                parts
                    .problems
                    .warn(Problem::new(users.place.clone(), warning));
            }
            Some(file)
        }
        Err(error) => {
            let problem = Problem::new(users.place, error.to_string());
            parts.problems.push(problem.help(
                "htpasswd -B -c FILE USER writes one; it must be readable by the gateway's user",
            ));
            None
        }
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

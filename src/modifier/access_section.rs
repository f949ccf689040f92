//! Keys of `require` and `auth`.

use std::time::Duration;

use crate::route::condition::REQUIREMENTS;
use crate::section::{At, Key, Section, Table};

/// The key for the conditions of access.
pub(super) static REQUIRE: Key<Table> = Key::table(
    "require",
    &REQUIREMENTS,
    "Conditions of access: a request for which they do not hold gets 403, or 401 where a user of `auth` could meet them. The conditions are those of rules, with `any`, `all` and `not`, as in Apache's RequireAny, RequireAll and RequireNone. They hold for every path that an application may read in the target.",
)
.example("{ remote = [\"10.0.0.0/8\"] }");

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

/// The key for the name of the area.
pub(super) static REALM: Key<Option<At<String>>> = Key::text(
    "realm",
    "Name of the protected area, which the dialogue shows: Apache's AuthName. A client sends the same password to all paths of a realm.",
)
.shown("\"Staging\"");

/// The key for the file of users.
pub(super) static USERS: Key<Option<At<String>>> = Key::text(
    "users",
    "File of users and password hashes, as htpasswd writes it: Apache's AuthUserFile, an absolute path. bcrypt ($2y$), SHA-crypt ($5$, $6$), Argon2id, $apr1$ and {SHA}; not DES crypt and plain text. It is read again when it changes.",
)
.shown("\"/etc/fcgate/users\"");

/// The key for the file of groups.
pub(super) static GROUPS: Key<Option<At<String>>> = Key::text(
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

/// The key for the time of remembering.
pub(super) static REMEMBER: Key<Duration> = Key::duration(
    "remember",
    "Time for which a verified password is not hashed again. A changed entry of the file counts at once. \"0s\": never.",
)
.default("\"60s\"");

/// The key for the limit of wrong passwords.
pub(super) static ATTEMPTS: Key<Table> = Key::table(
    "attempts",
    &ATTEMPTS_SECTION,
    "Limit of wrong passwords of a client.",
);

static ATTEMPTS_SECTION: Section = Section {
    title: "[site.rule.auth.basic.attempts]",
    doc: "Limit of wrong passwords of a client, which is an IPv4 address or an IPv6 /64; behind a proxy that is not trusted, of a client and a user.",
    groups: &[&[&PER_MINUTE]],
};

/// The key for their number.
pub(super) static PER_MINUTE: Key<usize> = Key::integer(
    "per_minute",
    0..=1_000_000,
    "Maximum number of wrong passwords within a minute; then 429 with Retry-After. Right passwords do not count. 0: no limit.",
)
.default("10");

/// The key for 403 in place of 401.
pub(super) static SEND_FORBIDDEN: Key<bool> = Key::flag(
    "send_forbidden_on_failure",
    "Answers 403 to an authenticated user who is not admitted, and not 401, which asks for another user: Apache's AuthzSendForbiddenOnFailure.",
)
.default("false");

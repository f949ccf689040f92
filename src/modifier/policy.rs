//! The access policy of a rule: its `require` and the users of its `auth`, as one tree with three results.

use super::access_section::{AUTH, BASIC, GROUPS, REQUIRE, REQUIRE_LINES, SATISFY};
use crate::route::condition::{Access, Exhausted, Set, UserCondition};
use crate::route::template::Groups;
use crate::section::{Lowered, Problem, Problems};

/// The conditions of access by a rule.
#[derive(Debug)]
pub(super) struct Policy {
    /// The conditions of `require`.
    require: Option<Set>,
    /// Users of `auth`, one of whom must be authenticated.
    users: Option<Vec<UserCondition>>,
    /// `satisfy`: either of the two is enough.
    any: bool,
}

impl Policy {
    /// Builds the policy of a rule; `None` if it has neither `require` nor `auth`.
    pub(super) fn build(
        section: &Lowered,
        groups: &Groups,
        problems: &mut Problems,
    ) -> Option<Self> {
        let require = section.given(&REQUIRE);
        let auth = section.given(&AUTH);
        if require.is_none() && auth.is_none() {
            return None;
        }
        let require = require.map(|table| Set::build(table, groups, problems));
        let any = auth.is_some_and(|auth| auth.get(&SATISFY).value == "any");
        // The tree that names users is the whole policy, as Apache's RequireAny is.
        let is_whole = !any && require.as_ref().is_some_and(Set::asks_for_user);
        let policy = Self {
            users: auth
                .filter(|auth| !is_whole || names_users(auth))
                .map(|auth| users(auth, problems)),
            require,
            any,
        };
        policy.check(section, problems);
        Some(policy)
    }

    /// Refuses policies that admit everybody or nobody.
    fn check(&self, section: &Lowered, problems: &mut Problems) {
        if self.any && self.require.is_none() && !section.is_wrong(&REQUIRE) {
            let place = section.given(&AUTH).map(|auth| auth.place_of(&SATISFY));
            let problem = Problem::new(
                place.unwrap_or_else(|| section.place()),
                "`satisfy = \"any\"` without `require` would admit everybody",
            );
            problems
                .push(problem.help(
                    "require = { remote = [\"10.0.0.0/8\"] }: clients that need no password",
                ));
        }
        let asks = self.require.as_ref().is_some_and(Set::asks_for_user);
        if asks && !section.is_given(&AUTH) && !section.is_wrong(&AUTH) {
            let message = "`require` names users, and the rule has no `auth`";
            let problem = Problem::new(section.place_of(&REQUIRE), message);
            problems.push(
                problem.help("auth = { basic = { realm = \"…\", users = \"/etc/fcgate/users\" } }"),
            );
        }
        let is_empty = self.require.as_ref().is_some_and(Set::has_empty_set);
        let is_marred = section.given(&REQUIRE).is_some_and(Lowered::is_marred);
        if is_empty && !is_marred {
            let problem = Problem::new(
                section.place_of(&REQUIRE),
                "`require`, or a table in it, has no conditions",
            );
            problems.push(problem.help("write the conditions that must hold, or leave it out"));
        }
    }

    /// Reports whether access is granted; `None` if that depends on a user who is not known yet.
    pub(super) fn admits(&self, access: &Access<'_>) -> Result<Option<bool>, Exhausted> {
        let require = match &self.require {
            Some(require) => Some(require.admits(access)?),
            None => None,
        };
        let user = self.users.as_ref().map(|users| {
            let admits = |user| users.iter().any(|condition| condition.admits_user(user));
            access.user.map(admits)
        });
        let (Some(require), Some(user)) = (require, user) else {
            return Ok(require.or(user).unwrap_or(Some(true)));
        };
        let decisive = Some(self.any);
        Ok(match (require, user) {
            (one, other) if one == decisive || other == decisive => decisive,
            (None, _) | (_, None) => None,
            (Some(_), Some(_)) => Some(!self.any),
        })
    }
}

/// Reports whether `auth` names the admitted users.
fn names_users(auth: &Lowered) -> bool {
    let basic = auth.given(&BASIC);
    basic.is_some_and(|basic| basic.is_given(&REQUIRE_LINES) || basic.is_wrong(&REQUIRE_LINES))
}

/// Builds the users of `auth`; every user of the file without any condition.
fn users(auth: &Lowered, problems: &mut Problems) -> Vec<UserCondition> {
    let Some(basic) = auth.given(&BASIC) else {
        return vec![UserCondition::Valid];
    };
    let lines = basic.get(&REQUIRE_LINES);
    if lines.is_empty() && !basic.is_wrong(&REQUIRE_LINES) {
        let message = "`require` is an empty list, by which no user is admitted";
        let problem = Problem::new(basic.place_of(&REQUIRE_LINES), message);
        problems.push(problem.help("leave the key out to admit all users of the file"));
    }
    let parsed = lines.iter().filter_map(|line| {
        let condition = UserCondition::parse(&line.value);
        if condition.is_none() {
            let message = format!("`{}` is not a requirement", line.value);
            let problem = Problem::new(line.place.clone(), message);
            problems
                .push(problem.help("write \"user alice bob\", \"group staff\" or \"valid-user\""));
        }
        condition
    });
    let conditions: Vec<_> = parsed.collect();
    let asks_for_group = |condition: &UserCondition| matches!(condition, UserCondition::Group(_));
    if conditions.iter().any(asks_for_group) && !basic.is_given(&GROUPS) && !basic.is_wrong(&GROUPS)
    {
        let message = "`require` names a group, and there is no file of groups";
        let problem = Problem::new(basic.place_of(&REQUIRE_LINES), message);
        problems.push(
            problem.help("groups = \"/etc/fcgate/groups\", with lines of `group: user user`"),
        );
    }
    conditions
}

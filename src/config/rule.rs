//! `[[site.rule]]`: conditions, modifiers, and at most one action.

use std::sync::Arc;

use super::action::{ACTIONS, FILES_MATCH, PROXY_PASS, PROXY_PASS_MATCH, TO, action};
use super::draft::Draft;
use crate::handler::Handler;
use crate::handler::fastcgi::{Fastcgi, OwnBounds, RULE_TIMES};
use crate::limits::BODY;
use crate::modifier::{self, Modifiers, Step};
use crate::route::Rule;
use crate::route::condition::{self, Condition, Pattern, Prefix, Set};
use crate::route::template::Groups;
use crate::section::{Key, Lowered, Place, Problem, Problems, Section};

/// The `[[site.rule]]` section.
pub static RULE: Section = Section {
    title: "[[site.rule]]",
    doc: "Conditions, all of which must hold; modifiers; and at most one action: fastcgi, static_files, redirect, rewrite, respond, deny, set_handler or to. Rules are tried in their order; the first that matches, has an action and does not decline answers. A rule without an action applies its modifiers, and the search continues.",
    groups: &[
        condition::KEYS,
        &[&condition::NOT_KEY, &INTERNAL],
        modifier::KEYS,
        &[&PROXY_PASS, &PROXY_PASS_MATCH, &FILES_MATCH],
        ACTIONS,
    ],
};

static INTERNAL: Key<bool> = Key::flag("internal", "Restricts the rule to internal rounds: targets of an index file, a rewrite or an error page, never the client's own request.").default("false");

pub(super) fn build_rule(
    section: &Lowered,
    draft: &mut Draft<'_, '_>,
    problems: &mut Problems,
) -> Option<Rule<Step>> {
    let mut names = names(draft);
    let apache = apache_condition(section, problems)?;
    if let Some(Condition::Pattern(pattern)) = &apache {
        names = names.with_groups(pattern.groups());
    }
    let mut conditions = Set::build(section, &names, problems);
    if let Some(condition) = apache {
        conditions.push(condition);
    }
    let groups = match conditions.groups(section) {
        Some(groups) => names.with_groups(groups),
        None => names,
    };
    let sources = draft.context.sources;
    let show = |place: &Place| sources.show(place);
    let place: Arc<str> = show(&section.place()).into();
    let context = draft.context;
    let mut modifiers = Modifiers::build(
        section,
        Arc::clone(&place),
        (&groups, &show),
        (context.authentication, context.files),
        problems,
    );
    if let Some(limiter) = modifiers.limiter_mut() {
        draft.kept_limiters.continue_rule(&conditions, limiter);
    }
    let acts = ACTIONS.iter().any(|key| section.is_given(*key));
    let handler = if acts || !modifier::are_given(section) {
        Some(action(section, &groups, &conditions, draft, problems)?)
    } else {
        None
    };
    if let Some(Handler::Fastcgi(fastcgi)) = &handler {
        warn_of_narrower(section, fastcgi, problems);
    }
    let step = Step {
        internal: section.get(&INTERNAL),
        modifiers,
        handler,
    };
    Some(Rule::when(conditions, step).at(place))
}

/// Warns of `limits` and `timeouts` of the rule that its action overrides: the narrower key counts.
fn warn_of_narrower(section: &Lowered, fastcgi: &Fastcgi, problems: &mut Problems) {
    let limits = section.given(&modifier::limits::LIMITS);
    let times = section.given(&modifier::timeouts::TIMEOUTS);
    let wider = |name: &str| {
        if name == OwnBounds::BODY {
            let limits = limits.filter(|limits| limits.is_given(&BODY))?;
            return Some(limits.place_of(&BODY));
        }
        let (_, key) = RULE_TIMES.into_iter().find(|(known, _)| *known == name)?;
        let times = times.filter(|times| times.is_given(key))?;
        Some(times.place_of(key))
    };
    for (name, narrower) in fastcgi.own.iter() {
        if let Some(place) = wider(name) {
            let message = format!(
                "`{name}` of this rule has no effect: its action overrides it at {narrower}"
            );
            problems.warn(Problem::new(place, message).help("remove one of the two"));
        }
    }
}

/// Returns the names for templates beside the groups of a pattern.
fn names(draft: &Draft<'_, '_>) -> Groups {
    let root = draft
        .root
        .as_ref()
        .map(|root| root.0.to_string_lossy().into_owned());
    Groups::default()
        .with_root(root)
        .with_environment(|name| std::env::var(name).ok())
}

/// Returns the condition of Apache's `proxy_pass` or `proxy_pass_match`, if given. Either requires `to`,
/// and `to` requires one of them.
fn apache_condition(section: &Lowered, problems: &mut Problems) -> Option<Option<Condition>> {
    let keys = [&PROXY_PASS_MATCH, &PROXY_PASS, &TO];
    if keys.iter().any(|key| section.is_wrong(*key)) {
        return None;
    }
    let pattern = section.get(&PROXY_PASS_MATCH);
    let prefix = section.get(&PROXY_PASS);
    if (pattern.is_some() || prefix.is_some()) != section.is_given(&TO) {
        problems.push(
            Problem::new(
                section.place(),
                "proxy_pass or proxy_pass_match requires `to`, and `to` one of them",
            )
            .help("proxy_pass_match = '^/(.*\\.php)$' and to = \"fcgi://php/srv/www/$1\""),
        );
        return None;
    }
    let pattern = pattern.and_then(|text| Pattern::new(&text, problems));
    let prefix = prefix.and_then(|text| Prefix::new(&text, problems));
    let pattern = pattern.map(|pattern| Condition::Pattern(Box::new(pattern)));
    Some(pattern.or_else(|| prefix.map(Condition::Prefix)))
}

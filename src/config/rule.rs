//! `[[site.rule]]`: conditions, what they change, and at most one action.

use std::sync::Arc;

use super::action::{ACTIONS, action};
use super::draft::Draft;
use crate::handler::deny::DENY;
use crate::handler::fastcgi::FASTCGI;
use crate::handler::redirect::REDIRECT;
use crate::handler::respond::RESPOND;
use crate::handler::rewrite::REWRITE;
use crate::handler::static_files::STATIC_FILES;
use crate::modifier::{self, Modifiers, Step};
use crate::route::Rule;
use crate::route::condition::{Condition, NOT, Pattern, Prefix, Set, keys};
use crate::route::template::Groups;
use crate::section::{Key, Kind, Lowered, Place, Problem, Problems, Section};

/// The `[[site.rule]]` section.
pub static RULE: Section = Section {
    title: "[[site.rule]]",
    doc: "Conditions, all of which must hold; what they change; and at most one action: fastcgi, static_files, redirect, rewrite, respond, deny, set_handler or to. Rules are tried in their order; the first that matches, has an action and does not decline answers. One without an action changes what it says, and the search goes on.",
    keys: &KEYS,
};

const CONDITION_KEYS: [Key; 17] = [
    keys::PATH,
    keys::PREFIX,
    keys::MATCH,
    keys::EXTENSION,
    keys::METHOD,
    keys::HOST,
    keys::SCHEME,
    keys::LISTENER,
    keys::REMOTE,
    keys::HEADER,
    keys::QUERY,
    keys::COOKIE,
    keys::EXISTS,
    keys::ANY,
    keys::ALL,
    Key::new("not", Kind::Table(&NOT), "Conditions of which none may hold.").example("{ method = [\"POST\"] }"),
    Key::new("internal", Kind::Flag, "Whether the rule is for internal rounds only: for what an index file, a rewrite or an error page leads to, and never for what a client asks for.").default("false"),
];

const ACTION_KEYS: [Key; 11] = [
    Key::new("fastcgi", Kind::Table(&FASTCGI), "A script answers.").example("{ upstream = \"php\", script = \"/srv/app/public/index.php\" }"),
    Key::new("static_files", Kind::Table(&STATIC_FILES), "A file answers.").example("{ root = \"/srv/app/public\", missing = \"decline\" }"),
    Key::new("redirect", Kind::Table(&REDIRECT), "Sends the client to another address.").example("{ to = \"/new/$rest\", status = 301 }"),
    Key::new("rewrite", Kind::Table(&REWRITE), "Another path, and the rules anew.").example("{ to = \"/index.php/$1\" }"),
    Key::new("respond", Kind::Table(&RESPOND), "A fixed answer.").example("{ body = \"ok\" }"),
    Key::new("deny", Kind::FlagOr(&DENY), "Refuses.").example("true"),
    Key::new("proxy_pass", Kind::Text, "Apache's ProxyPass: leading whole segments as `prefix` has, with `to` as its action.").example("\"/app/\""),
    Key::new("proxy_pass_match", Kind::Text, "Apache's ProxyPassMatch: a regular expression as `match` has, with `to` as its action.").example("'^/(.*\\.php(/.*)?)$'"),
    Key::new("to", Kind::Text, "The target of proxy_pass or proxy_pass_match: \"fcgi://UPSTREAM/srv/www/$1\", \"fcgi://host:port/srv/www/$1\" or \"unix:/sock|fcgi://localhost/srv/www/$1\". Without any $ the path is appended; with proxy_pass, what follows the prefix. What follows the script in it is PATH_INFO: a script is a file that ends in .php, one that is written before the first $, the whole, or as much of the path as proxy_pass_match matches by itself, as with '^/(.*\\.phtml(/.*)?)$'. Of mod_proxy's options enablereuse=on, flushpackets=on and timeout=SECONDS may stand behind it. \"!\" keeps what matches from all further rules of the two kinds.").example("\"fcgi://php/srv/www/$1\""),
    Key::new("set_handler", Kind::Text, "Apache's SetHandler: the files below the site's root are scripts of \"proxy:unix:/sock|fcgi://localhost\" or \"proxy:fcgi://host:port\" (an upstream's name is understood as host). A path that leads to no file is left to the next rule.").example("\"proxy:unix:/run/php/php-fpm.sock|fcgi://localhost\""),
    Key::new("files_match", Kind::Text, "Apache's FilesMatch, for set_handler: a regular expression on the file's name, without its folder.").default("'\\.php$'"),
];

static KEYS: [Key; CONDITION_KEYS.len() + modifier::KEYS.len() + ACTION_KEYS.len()] =
    joined([&CONDITION_KEYS, &modifier::KEYS, &ACTION_KEYS]);

/// Returns the keys of all lists, of which there are as many as `N`.
#[expect(
    clippy::indexing_slicing,
    reason = "it runs in the compiler, where a wrong index is an error"
)]
const fn joined<const N: usize>(lists: [&[Key]; 3]) -> [Key; N] {
    let mut keys = [CONDITION_KEYS[0]; N];
    let (mut list, mut number, mut count) = (0, 0, 0);
    while count < N {
        if number == lists[list].len() {
            (list, number) = (list + 1, 0);
        } else {
            keys[count] = lists[list][number];
            (number, count) = (number + 1, count + 1);
        }
    }
    keys
}

pub(super) fn build_rule(
    section: &Lowered,
    draft: &mut Draft<'_, '_>,
    problems: &mut Problems,
) -> Option<Rule<Step>> {
    let mut names = names(draft);
    let apache = spelled_as_apache(section, problems)?;
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
    let sources = draft.surroundings.sources;
    let show = |place: &Place| sources.show(place);
    let place: Arc<str> = show(&section.place()).into();
    let modifiers = Modifiers::build(section, Arc::clone(&place), (&groups, &show), problems);
    let acts = ACTIONS.iter().any(|key| section.is_given(key));
    let handler = if acts || !modifier::are_given(section) {
        Some(action(section, &groups, &conditions, draft, problems)?)
    } else {
        None
    };
    let step = Step {
        internal: section.flag("internal"),
        modifiers,
        handler,
    };
    Some(Rule::when(conditions, step).at(place))
}

/// What templates may name besides the groups of a pattern.
fn names(draft: &Draft<'_, '_>) -> Groups {
    let root = draft.root.as_ref();
    let root = root.map(|root| root.0.to_string_lossy().into_owned());
    Groups::default()
        .with_root(root)
        .with_environment(|name| std::env::var(name).ok())
}

/// What Apache's two spellings say of the path, where one of them is there. Without `to` they are
/// nothing, nor is `to` without one of them.
fn spelled_as_apache(section: &Lowered, problems: &mut Problems) -> Option<Option<Condition>> {
    if ["proxy_pass_match", "proxy_pass", "to"]
        .iter()
        .any(|key| section.is_wrong(key))
    {
        return None;
    }
    let pattern = section.text("proxy_pass_match");
    let prefix = section.text("proxy_pass");
    if (pattern.is_some() || prefix.is_some()) != section.is_given("to") {
        problems.push(
            Problem::new(
                section.place(),
                "proxy_pass or proxy_pass_match, and `to`, go together",
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

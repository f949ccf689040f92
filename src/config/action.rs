//! Action of a rule: exactly one of the keys for handlers.

use std::path::PathBuf;
use std::sync::Arc;

use super::draft::{Draft, Scripts, request_body};
use crate::cgi::Mapping;
use crate::handler::Handler;
use crate::handler::deny::{self, Deny};
use crate::handler::fastcgi::{self, Fastcgi, FileName, Missing, RULE_TIMES, ScriptRule, target};
use crate::handler::mount::Mount;
use crate::handler::redirect::{self, Redirect};
use crate::handler::respond::{self, Respond};
use crate::handler::rewrite::{self, Rewrite};
use crate::handler::static_files::{self, SCRIPT_SYMLINKS, StaticFiles};
use crate::limits::BODY;
use crate::message::Root;
use crate::route::condition::{Pattern, Set};
use crate::route::template::{Groups, Template};
use crate::section::{At, Group, Key, Lowered, Problem, Problems};
use crate::upstream::Upstream;
use crate::value::TimeLimit;

/// Context of one action while its handler is built.
struct Parts<'a, 'd, 's> {
    /// The rule.
    section: &'a Lowered,
    /// Names for its templates.
    groups: &'a Groups,
    conditions: &'a Set,
    draft: &'a mut Draft<'d, 's>,
    problems: &'a mut Problems,
}

/// Builder of an action's handler; faults go to the problems.
type Build = fn(Parts<'_, '_, '_>) -> Option<Handler>;

/// The one list of actions: the keys, of which a rule has at most one, and their builders.
macro_rules! actions {
    ($($key:path => $build:expr;)*) => {
        /// The keys of the actions.
        pub(super) static ACTIONS: Group = &[$(&$key),*];

        static BUILDERS: &[Build] = &[$($build),*];
    };
}

actions! {
    fastcgi::KEY => fastcgi;
    static_files::KEY => static_files;
    redirect::KEY => redirect;
    rewrite::KEY => rewrite;
    respond::KEY => respond;
    deny::KEY => deny;
    TO => apache_target;
    SET_HANDLER => set_handler;
}

pub(super) static PROXY_PASS: Key<Option<At<String>>> = Key::text(
    "proxy_pass",
    "Apache's ProxyPass: leading whole segments like `prefix`, with `to` as the action.",
)
.example("\"/app/\"");

pub(super) static PROXY_PASS_MATCH: Key<Option<At<String>>> = Key::text(
    "proxy_pass_match",
    "Apache's ProxyPassMatch: a regular expression like `match`, with `to` as the action.",
)
.example("'^/(.*\\.php(/.*)?)$'");

pub(super) static TO: Key<Option<At<String>>> = Key::text("to", "The target of proxy_pass or proxy_pass_match: \"fcgi://UPSTREAM/srv/www/$1\", \"fcgi://host:port/srv/www/$1\" or \"unix:/sock|fcgi://localhost/srv/www/$1\". Without any $ the path is appended; with proxy_pass, the part after the prefix. PATH_INFO is the part after the script: a file that ends in .php, one written before the first $, the whole target, or as much of the path as proxy_pass_match matches on its own, as with '^/(.*\\.phtml(/.*)?)$'. The options enablereuse=on, flushpackets=on and timeout=SECONDS of mod_proxy may follow it. \"!\" excludes matching paths from all later rules of the two kinds.").example("\"fcgi://php/srv/www/$1\"");

pub(super) static SET_HANDLER: Key<Option<At<String>>> = Key::text("set_handler", "Apache's SetHandler: the files below the site's root are scripts of \"proxy:unix:/sock|fcgi://localhost\" or \"proxy:fcgi://host:port\" (an upstream's name is valid as host). A path without a file is left to the next rule.").example("\"proxy:unix:/run/php/php-fpm.sock|fcgi://localhost\"");

pub(super) static FILES_MATCH: Key<At<String>> = Key::text("files_match", "Apache's FilesMatch, for set_handler: a regular expression on the file's name, without its folder.").default("'\\.php$'");

pub(super) fn action(
    section: &Lowered,
    groups: &Groups,
    conditions: &Set,
    draft: &mut Draft<'_, '_>,
    problems: &mut Problems,
) -> Option<Handler> {
    if ACTIONS.iter().any(|action| section.is_wrong(*action)) {
        return None;
    }
    if section.is_given(&FILES_MATCH) && !section.is_given(&SET_HANDLER) {
        let place = section.place_of(&FILES_MATCH);
        let problem = Problem::new(place, "files_match requires set_handler");
        problems.push(problem.help("conditions on a file's name are `extension` and `match`"));
        return None;
    }
    let build = only(section, problems)?;
    build(Parts {
        section,
        groups,
        conditions,
        draft,
        problems,
    })
}

/// Returns the builder of the one action of a rule; another number of actions is a problem.
fn only(section: &Lowered, problems: &mut Problems) -> Option<Build> {
    let actions = ACTIONS.iter().zip(BUILDERS);
    let given: Vec<_> = actions.filter(|(key, _)| section.is_given(**key)).collect();
    if let [(_, build)] = given.as_slice() {
        return Some(**build);
    }
    let names: Vec<_> = ACTIONS.iter().map(|key| key.descriptor().name).collect();
    let keys = section.given_keys().into_iter();
    let second = keys.filter(|key| names.contains(&key.value)).nth(1);
    let (place, message) = match second {
        Some(second) => (
            second.place,
            "a rule has at most one action, and this is the second".to_owned(),
        ),
        None => (section.place(), "the rule has no action".to_owned()),
    };
    problems.push(Problem::new(place, message).help(format!("actions are {}", names.join(", "))));
    None
}

fn static_files(parts: Parts<'_, '_, '_>) -> Option<Handler> {
    let table = parts.section.given(&static_files::KEY)?;
    let draft = parts.draft;
    let built = StaticFiles::build(table, draft.root.as_ref(), &draft.files, parts.problems);
    built.map(Handler::StaticFiles)
}

fn redirect(parts: Parts<'_, '_, '_>) -> Option<Handler> {
    let table = parts.section.given(&redirect::KEY)?;
    Redirect::build(table, parts.groups, parts.problems).map(Handler::Redirect)
}

fn rewrite(parts: Parts<'_, '_, '_>) -> Option<Handler> {
    let table = parts.section.given(&rewrite::KEY)?;
    Rewrite::build(table, parts.groups, parts.problems).map(Handler::Rewrite)
}

fn respond(parts: Parts<'_, '_, '_>) -> Option<Handler> {
    let table = parts.section.given(&respond::KEY)?;
    let left = parts.conditions.excluded_methods();
    Some(Handler::Respond(Respond::build(
        table,
        &left,
        parts.problems,
    )))
}

fn deny(parts: Parts<'_, '_, '_>) -> Option<Handler> {
    let table = parts.section.given(&deny::KEY)?;
    let left = parts.conditions.excluded_methods();
    Some(Handler::Deny(Deny::build(table, &left)))
}

fn fastcgi(parts: Parts<'_, '_, '_>) -> Option<Handler> {
    let (draft, problems) = (parts.draft, parts.problems);
    let section = parts.section.given(&fastcgi::KEY)?;
    let upstream = match section.get(&fastcgi::UPSTREAM) {
        Some(text) => draft.context.upstream(&text, problems)?,
        None if draft.php.is_some() => draft.php.clone()?,
        None => {
            problems.push(
                Problem::new(section.place(), "fastcgi needs an `upstream`")
                    .help("set it here, or `php` on the site"),
            );
            return None;
        }
    };
    let root = match section.get(&fastcgi::ROOT) {
        Some(own) => Root::at(&own, problems)?,
        // Without a valid root, a script's place in it is unknown.
        None if section.is_wrong(&fastcgi::ROOT) => Root(PathBuf::from("/")),
        None => draft.root.clone().or_else(|| {
            let problem = Problem::new(section.place(), "fastcgi needs a `root`");
            problems.push(problem.help("set it here or on the site"));
            None
        })?,
    };
    let script = script_rule(section, &root, parts.groups, problems)?;
    let mut mapping = mapping(root, &upstream, draft);
    if let Some(text) = section.get(&SCRIPT_SYMLINKS) {
        mapping.symlinks = static_files::policy(&text);
    }
    let scripts = Scripts {
        rule: script,
        missing: missing(section),
        mount: Mount::build(section, problems),
    };
    let mut handler = draft.fastcgi(upstream, mapping, scripts, &section.place());
    if let Some(mode) = request_body(section) {
        handler.spool.mode = mode;
    }
    if let Some(limits) = section.given(&fastcgi::LIMITS)
        && let Some(limit) = limits.given(&BODY)
    {
        let place = draft.context.location_of(limits, &BODY);
        handler.set_body_limit(limit.0, place);
    }
    handler.ignore_client_abort = section.get(&fastcgi::IGNORE_CLIENT_ABORT);
    set_timeouts(&mut handler, section, draft, problems);
    Some(Handler::Fastcgi(Arc::new(handler)))
}

fn missing(section: &Lowered) -> Missing {
    match section.get(&fastcgi::MISSING).as_str() {
        "decline" => Missing::Decline,
        "pass" => Missing::Pass,
        _ => Missing::NotFound,
    }
}

fn mapping(root: Root, upstream: &Upstream, draft: &Draft<'_, '_>) -> Mapping {
    Mapping {
        root,
        backend_root: draft.context.backend_root(upstream),
        symlinks: draft.files.symlinks(),
        resolves_root: draft.context.resolves_root(upstream),
    }
}

fn set_timeouts(
    handler: &mut Fastcgi,
    section: &Lowered,
    draft: &Draft<'_, '_>,
    problems: &mut Problems,
) {
    let Some(table) = section.given(&fastcgi::TIMEOUTS) else {
        return;
    };
    fastcgi::warn_of_total(table, problems);
    for (name, key) in RULE_TIMES {
        if let Some(duration) = table.given(key) {
            let place = draft.context.location_of(table, key);
            handler.set_time(TimeLimit {
                name,
                duration,
                place,
            });
        }
    }
}

fn script_rule(
    section: &Lowered,
    root: &Root,
    groups: &Groups,
    problems: &mut Problems,
) -> Option<ScriptRule> {
    let path_info = section.get(&fastcgi::PATH_INFO);
    let Some(text) = section.get(&fastcgi::SCRIPT) else {
        if let Some(path_info) = path_info.filter(|_| !section.is_wrong(&fastcgi::SCRIPT)) {
            problems.push(
                Problem::new(path_info.place, "path_info needs a `script`")
                    .help("without one, PATH_INFO is what follows the script in the path"),
            );
        }
        return Some(ScriptRule::Walk);
    };
    let folder = PathBuf::from(before_variables(&text.value));
    if !folder.starts_with(&root.0) {
        problems.push(
            Problem::new(
                text.place.clone(),
                format!("the script lies outside its root {}", root.0.display()),
            )
            .help("set its own document root as `fastcgi.root`"),
        );
        return None;
    }
    let script = template(&text, groups, problems)?;
    let path_info = match path_info {
        Some(text) => Some(template(&text, groups, problems)?),
        None => None,
    };
    Some(ScriptRule::Fixed { script, path_info })
}

/// Returns the literal prefix of a template, with `$$` as `$`.
fn before_variables(template: &str) -> String {
    let pieces: Vec<_> = template.split("$$").collect();
    let plain = pieces.iter().position(|piece| piece.contains('$'));
    let last = plain.and_then(|at| pieces.get(at)?.split('$').next());
    let whole = pieces.iter().take(plain.unwrap_or(pieces.len())).copied();
    whole.chain(last).collect::<Vec<_>>().join("$")
}

/// Builds SetHandler with FilesMatch: the scripts are files below the site's root.
fn set_handler(parts: Parts<'_, '_, '_>) -> Option<Handler> {
    let (section, draft, problems) = (parts.section, parts.draft, parts.problems);
    let text = section.get(&SET_HANDLER)?;
    let parsed = target::handler(&text.value, |name| draft.context.is_upstream(name));
    let server = match parsed {
        Ok(value) => At {
            value,
            place: text.place.clone(),
        },
        Err(message) => {
            problems.push(Problem::new(text.place.clone(), message));
            return None;
        }
    };
    let upstream = draft.context.upstream(&server, problems)?;
    let Some(root) = draft.root.clone() else {
        let problem = Problem::new(text.place.clone(), "set_handler needs the site's `root`");
        problems.push(problem.help("its scripts are the files below it"));
        return None;
    };
    let mapping = mapping(root, &upstream, draft);
    let pattern = section.get(&FILES_MATCH);
    let scripts = Scripts {
        rule: ScriptRule::Files(Box::new(Pattern::of_name(&pattern, problems)?)),
        missing: Missing::Decline,
        mount: Mount::default(),
    };
    let handler = draft.fastcgi(upstream, mapping, scripts, &text.place);
    Some(Handler::Fastcgi(Arc::new(handler)))
}

fn apache_target(parts: Parts<'_, '_, '_>) -> Option<Handler> {
    let (section, draft, problems) = (parts.section, parts.draft, parts.problems);
    let text = section.get(&TO)?;
    if text.value == "!" {
        return Some(Handler::ExcludeProxy);
    }
    let appended = if section.is_given(&PROXY_PASS) {
        "/$rest"
    } else {
        "$path"
    };
    let is_upstream = |name: &str| draft.context.is_upstream(name);
    let target = target::parse(&text.value, appended, is_upstream)
        .map_err(|message| problems.push(Problem::new(text.place.clone(), message)))
        .ok()?;
    let at = |value| At {
        value,
        place: text.place.clone(),
    };
    let upstream = draft.context.upstream(&at(target.server), problems)?;
    let folder = PathBuf::from(target::literal_folder(&target.file));
    // One root serves all paths within the site's root.
    let root = draft
        .root
        .clone()
        .filter(|root| folder.starts_with(&root.0))
        .unwrap_or(Root(folder));
    let mapping = mapping(root, &upstream, draft);
    let name = FileName {
        file: template(&at(target.file), parts.groups, problems)?,
        pattern: match section.get(&PROXY_PASS_MATCH) {
            // Its faults were reported when it became a condition.
            Some(pattern) => Some(Pattern::new(&pattern, &mut Problems::default())?),
            None => None,
        },
    };
    let scripts = Scripts {
        rule: ScriptRule::FileName(Box::new(name)),
        missing: Missing::NotFound,
        mount: Mount::default(),
    };
    let mut handler = draft.fastcgi(upstream, mapping, scripts, &text.place);
    if let Some(timeout) = target.timeout {
        let place = draft.context.sources.show(&text.place);
        handler.set_silence(timeout, &place.into());
    }
    Some(Handler::Fastcgi(Arc::new(handler)))
}

fn template(text: &At<String>, groups: &Groups, problems: &mut Problems) -> Option<Template> {
    match Template::parse(&text.value, groups) {
        Ok(template) => Some(template),
        Err(error) => {
            problems.push(Problem::new(text.place.clone(), error.to_string()));
            None
        }
    }
}

//! The action of a rule: exactly one of the keys that answer.

use std::path::PathBuf;
use std::sync::Arc;

use super::draft::{Draft, Scripts, request_body};
use crate::cgi::Mapping;
use crate::handler::Handler;
use crate::handler::deny::Deny;
use crate::handler::fastcgi::{Fastcgi, FileName, Missing, ScriptRule, target};
use crate::handler::mount::Mount;
use crate::handler::redirect::Redirect;
use crate::handler::respond::Respond;
use crate::handler::rewrite::Rewrite;
use crate::handler::static_files::{self, StaticFiles};
use crate::message::Root;
use crate::route::condition::{Pattern, Set};
use crate::route::template::{Groups, Template};
use crate::section::{At, Lowered, Problem, Problems};
use crate::upstream::Upstream;

/// The keys of which a rule has at most one.
pub(super) const ACTIONS: [&str; 8] = [
    "fastcgi",
    "static_files",
    "redirect",
    "rewrite",
    "respond",
    "deny",
    "to",
    "set_handler",
];

pub(super) fn action(
    section: &Lowered,
    groups: &Groups,
    conditions: &Set,
    draft: &mut Draft<'_, '_>,
    problems: &mut Problems,
) -> Option<Handler> {
    let given: Vec<_> = section
        .given_keys()
        .into_iter()
        .filter(|key| ACTIONS.contains(&key.value))
        .collect();
    if ACTIONS.iter().any(|action| section.is_wrong(action)) {
        return None;
    }
    if section.is_given("files_match") && !section.is_given("set_handler") {
        let place = section.place_of("files_match");
        let problem = Problem::new(place, "files_match goes with set_handler");
        problems.push(problem.help("conditions on a file's name are `extension` and `match`"));
        return None;
    }
    let [key] = given.as_slice() else {
        let (place, message) = match given.get(1) {
            Some(second) => (
                second.place.clone(),
                "a rule has one action, and this is a second".to_owned(),
            ),
            None => (section.place(), "the rule has no action".to_owned()),
        };
        problems
            .push(Problem::new(place, message).help(format!("actions are {}", ACTIONS.join(", "))));
        return None;
    };
    let table = || section.given_table(key.value);
    match key.value {
        "fastcgi" => fastcgi(table()?, groups, draft, problems),
        "static_files" => StaticFiles::build(table()?, draft.root.as_ref(), &draft.files, problems)
            .map(Handler::StaticFiles),
        "rewrite" => Rewrite::build(table()?, groups, problems).map(Handler::Rewrite),
        "set_handler" => set_handler(section, draft, problems),
        "redirect" => Redirect::build(table()?, groups, problems).map(Handler::Redirect),
        "respond" => {
            let respond = Respond::build(table()?, &conditions.left_methods(), problems);
            Some(Handler::Respond(respond))
        }
        "deny" => {
            let deny = Deny::build(&section.table("deny"), &conditions.left_methods());
            Some(Handler::Deny(deny))
        }
        _ => apache_target(section, groups, draft, problems),
    }
}

fn fastcgi(
    section: &Lowered,
    groups: &Groups,
    draft: &mut Draft<'_, '_>,
    problems: &mut Problems,
) -> Option<Handler> {
    let upstream = match section.text("upstream") {
        Some(text) => draft.surroundings.upstream(&text, problems)?,
        None if draft.php.is_some() => draft.php.clone()?,
        None => {
            problems.push(
                Problem::new(section.place(), "fastcgi needs an `upstream`")
                    .help("set it here, or `php` on the site"),
            );
            return None;
        }
    };
    let root = match section.text("root") {
        Some(own) => Root::at(&own, problems)?,
        // What lies in a root that could not be understood cannot be told.
        None if section.is_wrong("root") => Root(PathBuf::from("/")),
        None => draft.root.clone().or_else(|| {
            let problem = Problem::new(section.place(), "fastcgi needs a `root`");
            problems.push(problem.help("set it here or on the site"));
            None
        })?,
    };
    let script = script_rule(section, &root, groups, problems)?;
    let mut mapping = mapping(root, &upstream, draft);
    if let Some(symlinks) = static_files::symlinks(section) {
        mapping.symlinks = symlinks;
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
    if let Some(limits) = section.given_table("limits")
        && limits.is_given("body")
    {
        handler.spool.limit = limits.size("body").0;
    }
    handler.ignore_client_abort = section.flag("ignore_client_abort");
    set_timeouts(&mut handler, section, draft);
    Some(Handler::Fastcgi(Arc::new(handler)))
}

fn missing(section: &Lowered) -> Missing {
    let text = section.text("missing");
    match text.as_ref().map(|text| text.value.as_str()) {
        Some("decline") => Missing::Decline,
        Some("pass") => Missing::Pass,
        Some(_) | None => Missing::NotFound,
    }
}

fn mapping(root: Root, upstream: &Upstream, draft: &Draft<'_, '_>) -> Mapping {
    Mapping {
        root,
        backend_root: draft.surroundings.backend_root(upstream),
        symlinks: draft.files.symlinks(),
    }
}

fn set_timeouts(handler: &mut Fastcgi, section: &Lowered, draft: &Draft<'_, '_>) {
    let Some(table) = section.given_table("timeouts") else {
        return;
    };
    for limit in handler.timeouts.all() {
        let key = limit.name.trim_start_matches("timeouts.");
        if table.is_given(key) {
            limit.duration = table.duration(key);
            limit.place = draft.surroundings.where_set(table, key);
        }
    }
}

fn script_rule(
    section: &Lowered,
    root: &Root,
    groups: &Groups,
    problems: &mut Problems,
) -> Option<ScriptRule> {
    let path_info = section.text("path_info");
    let Some(text) = section.text("script") else {
        if let Some(path_info) = path_info.filter(|_| !section.is_wrong("script")) {
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
            .help("name its own document root as `fastcgi.root`"),
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

/// What a template begins with, where `$$` stands for a `$`.
fn before_variables(template: &str) -> String {
    let pieces: Vec<_> = template.split("$$").collect();
    let plain = pieces.iter().position(|piece| piece.contains('$'));
    let last = plain.and_then(|at| pieces.get(at)?.split('$').next());
    let whole = pieces.iter().take(plain.unwrap_or(pieces.len())).copied();
    whole.chain(last).collect::<Vec<_>>().join("$")
}

/// SetHandler with FilesMatch: the scripts are files below the site's root.
fn set_handler(
    section: &Lowered,
    draft: &mut Draft<'_, '_>,
    problems: &mut Problems,
) -> Option<Handler> {
    let text = section.text("set_handler")?;
    let server = target::handler(&text.value, |name| draft.surroundings.is_upstream(name));
    let server = match server {
        Ok(value) => At {
            value,
            place: text.place.clone(),
        },
        Err(message) => {
            problems.push(Problem::new(text.place.clone(), message));
            return None;
        }
    };
    let upstream = draft.surroundings.upstream(&server, problems)?;
    let Some(root) = draft.root.clone() else {
        let problem = Problem::new(text.place.clone(), "set_handler needs the site's `root`");
        problems.push(problem.help("its scripts are the files below it"));
        return None;
    };
    let mapping = mapping(root, &upstream, draft);
    let pattern = section.text("files_match")?;
    let scripts = Scripts {
        rule: ScriptRule::Files(Box::new(Pattern::of_name(&pattern, problems)?)),
        missing: Missing::Decline,
        mount: Mount::default(),
    };
    let handler = draft.fastcgi(upstream, mapping, scripts, &text.place);
    Some(Handler::Fastcgi(Arc::new(handler)))
}

fn apache_target(
    section: &Lowered,
    groups: &Groups,
    draft: &mut Draft<'_, '_>,
    problems: &mut Problems,
) -> Option<Handler> {
    let text = section.text("to")?;
    if text.value == "!" {
        return Some(Handler::ExcludeProxy);
    }
    let appended = match section.is_given("proxy_pass") {
        true => "/$rest",
        false => "$path",
    };
    let is_upstream = |name: &str| draft.surroundings.is_upstream(name);
    let target = target::parse(&text.value, appended, is_upstream)
        .map_err(|message| problems.push(Problem::new(text.place.clone(), message)))
        .ok()?;
    let at = |value| At {
        value,
        place: text.place.clone(),
    };
    let upstream = draft.surroundings.upstream(&at(target.server), problems)?;
    let folder = PathBuf::from(target::literal_folder(&target.file));
    // One root for all that lies in the site's.
    let root = draft
        .root
        .clone()
        .filter(|root| folder.starts_with(&root.0))
        .unwrap_or(Root(folder));
    let mapping = mapping(root, &upstream, draft);
    let name = FileName {
        file: template(&at(target.file), groups, problems)?,
        pattern: match section.text("proxy_pass_match") {
            // What is wrong with it was told where it became a condition.
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
        let place = draft.surroundings.sources.show(&text.place);
        handler.timeouts.set_silence(timeout, &place.into());
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

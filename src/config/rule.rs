//! `[[site.rule]]`: conditions and exactly one action.

use std::path::PathBuf;
use std::sync::Arc;

use super::site::{Draft, Scripts, request_body};
use crate::cgi::Mapping;
use crate::handler::Handler;
use crate::handler::deny::{DENY, Deny};
use crate::handler::fastcgi::{self, FASTCGI, Fastcgi, Missing, ScriptRule, target};
use crate::handler::redirect::{REDIRECT, Redirect};
use crate::handler::respond::{RESPOND, Respond};
use crate::handler::static_files::{STATIC_FILES, StaticFiles};
use crate::message::Root;
use crate::route::Rule;
use crate::route::condition::{Condition, NOT, Pattern, keys};
use crate::route::template::{Groups, Template};
use crate::section::{At, Key, Kind, Lowered, Problem, Problems, Section};

/// The `[[site.rule]]` section.
pub static RULE: Section = Section {
    title: "[[site.rule]]",
    doc: "Conditions, all of which must hold, and exactly one action: fastcgi, static_files, redirect, respond, deny or to. Rules are tried in their order; the first that matches and does not decline answers.",
    keys: &[
        keys::PATH,
        keys::PREFIX,
        keys::MATCH,
        keys::EXTENSION,
        keys::METHOD,
        keys::HOST,
        Key::new("not", Kind::Table(&NOT), "Conditions of which none may hold.").example("{ method = [\"POST\"] }"),
        Key::new("fastcgi", Kind::Table(&FASTCGI), "A script answers.").example("{ upstream = \"php\", script = \"/srv/app/public/index.php\" }"),
        Key::new("static_files", Kind::Table(&STATIC_FILES), "A file answers.").example("{ root = \"/srv/app/public\", missing = \"decline\" }"),
        Key::new("redirect", Kind::Table(&REDIRECT), "Sends the client to another address.").example("{ to = \"/new/$rest\", status = 301 }"),
        Key::new("respond", Kind::Table(&RESPOND), "A fixed answer.").example("{ body = \"ok\" }"),
        Key::new("deny", Kind::FlagOr(&DENY), "Refuses.").example("true"),
        Key::new("proxy_pass_match", Kind::Text, "Apache's ProxyPassMatch: a regular expression as `match` has, with `to` as its action.").example("'^/(.*\\.php(/.*)?)$'"),
        Key::new("to", Kind::Text, "The target of proxy_pass_match: \"fcgi://UPSTREAM/srv/www/$1\", \"fcgi://host:port/srv/www/$1\" or \"unix:/sock|fcgi://localhost/srv/www/$1\". Without any $ the path is appended. What follows the script in it is PATH_INFO. \"!\" keeps what matches from all further proxy_pass_match rules.").example("\"fcgi://php/srv/www/$1\""),
    ],
};

/// The keys of which a rule has exactly one.
const ACTIONS: [&str; 6] = [
    "fastcgi",
    "static_files",
    "redirect",
    "respond",
    "deny",
    "to",
];

pub(super) fn build_rule(
    section: &Lowered,
    draft: &mut Draft<'_, '_>,
    problems: &mut Problems,
) -> Option<Rule<Handler>> {
    let mut conditions = Condition::build(section, problems);
    let apache = section.text("proxy_pass_match");
    if let Some(pattern) = apache
        .as_ref()
        .and_then(|text| Pattern::new(text, problems))
    {
        conditions.push(Condition::Pattern(Box::new(pattern)));
    }
    if apache.is_some() != section.is_given("to") {
        problems.push(
            Problem::new(section.place(), "proxy_pass_match and `to` go together")
                .help("proxy_pass_match = '^/(.*\\.php)$' and to = \"fcgi://php/srv/www/$1\""),
        );
        return None;
    }
    let exceptions = section
        .given_table("not")
        .map(|not| Condition::build(not, problems))
        .unwrap_or_default();
    let groups = Condition::groups(&conditions);
    let handler = action(section, &groups, draft, problems)?;
    Some(Rule::new(conditions, exceptions, handler))
}

fn action(
    section: &Lowered,
    groups: &Groups,
    draft: &mut Draft<'_, '_>,
    problems: &mut Problems,
) -> Option<Handler> {
    let given: Vec<_> = section
        .given_keys()
        .into_iter()
        .filter(|key| ACTIONS.contains(&key.value))
        .collect();
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
        "redirect" => Redirect::build(table()?, groups, problems).map(Handler::Redirect),
        "respond" => Some(Handler::Respond(Respond::build(table()?, problems))),
        "deny" => Some(Handler::Deny(Deny::build(&section.table("deny")))),
        _ => apache_target(&section.text("to")?, groups, draft, problems),
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
    let own = section.text("root").map(|text| fastcgi::root(&text.value));
    let Some(root) = own.or_else(|| draft.root.clone()) else {
        problems.push(
            Problem::new(section.place(), "fastcgi needs a `root`")
                .help("set it here or on the site"),
        );
        return None;
    };
    let script = script_rule(section, &root, groups, problems)?;
    let missing = match section
        .text("missing")
        .as_ref()
        .map(|text| text.value.as_str())
    {
        Some("decline") => Missing::Decline,
        Some("pass") => Missing::Pass,
        Some(_) | None => Missing::NotFound,
    };
    let mapping = Mapping {
        root,
        backend_root: draft.surroundings.backend_root(&upstream),
    };
    let scripts = Scripts {
        rule: script,
        missing,
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
        if let Some(path_info) = path_info {
            problems.push(
                Problem::new(path_info.place, "path_info needs a `script`")
                    .help("without one, PATH_INFO is what follows the script in the path"),
            );
        }
        return Some(ScriptRule::Walk);
    };
    let folder = PathBuf::from(text.value.split('$').next().unwrap_or_default());
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

fn apache_target(
    text: &At<String>,
    groups: &Groups,
    draft: &mut Draft<'_, '_>,
    problems: &mut Problems,
) -> Option<Handler> {
    if text.value == "!" {
        return Some(Handler::ExcludeProxy);
    }
    let target = match target::parse(&text.value, |name| draft.surroundings.is_upstream(name)) {
        Ok(target) => target,
        Err(message) => {
            problems.push(Problem::new(text.place.clone(), message));
            return None;
        }
    };
    let server = At {
        value: target.server,
        place: text.place.clone(),
    };
    let upstream = draft.surroundings.upstream(&server, problems)?;
    let folder = PathBuf::from(target::literal_folder(&target.file));
    // The site's root is the document root where the target lies in it, as with Apache.
    let root = draft
        .root
        .clone()
        .filter(|root| folder.starts_with(&root.0))
        .unwrap_or(Root(folder));
    let file = template(
        &At {
            value: target.file,
            place: text.place.clone(),
        },
        groups,
        problems,
    )?;
    let mapping = Mapping {
        root,
        backend_root: draft.surroundings.backend_root(&upstream),
    };
    let scripts = Scripts {
        rule: ScriptRule::FileName(file),
        missing: Missing::NotFound,
    };
    let handler = draft.fastcgi(upstream, mapping, scripts, &text.place);
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

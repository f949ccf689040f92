//! `[[site]]`: what is served for some hosts, and what its three lines mean.

use std::path::PathBuf;
use std::sync::Arc;

use super::draft::{Draft, request_body};
use super::expansion::meant;
use super::front::{FRONT_CONTROLLER, INDEX};
use super::mount::MOUNT;
use super::preset::PRESET;
use super::review::review;
use super::rule::{RULE, build_rule};
use super::server::warn_of_bodies;
use super::surroundings::Surroundings;
use crate::auth::Access;
use crate::auth::access::{ALLOW, DENY};
use crate::cgi::Contract;
use crate::cgi::contract::{AUTHORIZATION, CANONICAL_NAME, PASS_FIELDS};
use crate::filter::compress::{COMPRESS, Compress};
use crate::filter::error_page::{ERROR_PAGE, ErrorPages};
use crate::handler::answer::SendFile;
use crate::handler::answer::send_file::SEND_FILE;
use crate::handler::fastcgi::{AmbiguousFields, REQUEST_BODY};
use crate::handler::https::{HTTPS, Https};
use crate::handler::static_files::{FILES, FileSettings};
use crate::limits::budget::SiteKey;
use crate::limits::rate::RateLimiter;
use crate::limits::{SITE_LIMITS, allowance};
use crate::message::spool::{Mode, SpoolSettings};
use crate::message::{EncodedSlash, Root};
use crate::modifier::Step;
use crate::modifier::reserve::{RESERVE, reserve};
use crate::route::Rules;
use crate::section::{Key, Kind, Lowered, Problem, Problems, Section};
use crate::site::Site;
use crate::tls::SITE_TLS;
use crate::upstream::Upstream;

/// The `[[site]]` section.
pub static SITE: Section = Section {
    title: "[[site]]",
    doc: "What is served for some hosts. The rules come first, in their order; then the mounts, then what `preset` stands for. Then, with `root` and `php`: an existing file is sent, an existing .php script runs, a folder tries `index`, and everything else goes to the front controller; with `root` alone: files.",
    keys: &[
        Key::new("hosts", Kind::Texts, "The hosts that the site answers for: \"example.org\", or \"*.example.org\" for every name below it. A site without answers for all others; where none is without, that is the first.").example("[\"example.org\", \"*.example.org\"]"),
        Key::new("listen", Kind::Texts, "The names of the listeners that the site answers on, as `<VirtualHost *:8080>` is for one port; a listener that is named so has these sites alone. Sites without `listen` answer on all other listeners. In logs and metrics the site is called by its host and these names: `example.org@admin`.").example("[\"admin\"]"),
        Key::new("root", Kind::Text, "The document root, an absolute path.").shown("\"/srv/app/public\""),
        Key::new("php", Kind::Text, "Where PHP-FPM listens: \"unix:/path\", \"host:port\", the name of an [upstream.NAME], or as Apache says it, \"unix:/path|fcgi://localhost\".").example("\"unix:/run/php/php-fpm.sock\""),
        INDEX,
        FRONT_CONTROLLER,
        PRESET,
        Key::new("implied_rules", Kind::Flag, "Whether `root` and `php` mean rules of their own, after all others. With false they are only what rules leave out.").default("true"),
        Key::new("encoded_slash", Kind::OneOf(&["reject", "keep", "decode"]), "What %2F in a path means: \"reject\" is 404, \"keep\" leaves it as the three bytes, \"decode\" makes it a slash before anything looks at the path.").default("\"reject\""),
        REQUEST_BODY,
        Key::new("tls", Kind::Table(&SITE_TLS), "The certificate of the site.").example("{ certificate = \"/etc/tls/example.pem\", key = \"/etc/tls/example.key\" }"),
        Key::new("https", Kind::FlagOr(&HTTPS), "Keeps the site to TLS."),
        Key::new("compress", Kind::FlagOr(&COMPRESS), "Content codings: gzip, brotli and zstd, for those who accept them."),
        ALLOW,
        DENY,
        CANONICAL_NAME,
        AUTHORIZATION,
        PASS_FIELDS,
        Key::new("limits", Kind::Table(&SITE_LIMITS), "What this site allows otherwise than server.limits.").example("{ body = \"128MiB\" }"),
        RESERVE,
        Key::new("send_file", Kind::Table(&SEND_FILE), "Files that a script names and the gateway sends.").example("{ roots = [\"/srv/files\"] }"),
        Key::new("error_page", Kind::Tables(&ERROR_PAGE), "What a client sees in place of errors.").example("[{ status = [\"404\"], body = \"Not here.\" }]"),
        Key::new("files", Kind::Table(&FILES), "How files are sent."),
        Key::new("mount", Kind::Tables(&MOUNT), "Other roots at paths of the site.").example("[]"),
        Key::new("rule", Kind::Tables(&RULE), "What comes before the meaning of `root` and `php`.").example("[]"),
    ],
};

pub(super) fn build_site(
    section: &Lowered,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Site {
    let (root, root_is_known) = site_root(section, problems);
    let name: Arc<str> = site_name(section).into();
    let mut draft = Draft {
        name: Arc::clone(&name),
        root,
        php: site_php(section, surroundings, problems),
        spool: spool_settings(section, surroundings, problems),
        contract: Contract::build(section, problems),
        ambiguous: Arc::new(AmbiguousFields::new(Arc::clone(&name))),
        send_file: section
            .given_table("send_file")
            .map(|table| SendFile::build(table, problems))
            .unwrap_or_default(),
        has_reserve: section.is_given("reserve"),
        files: FileSettings::build(&section.table("files"), &FileSettings::default(), problems),
        surroundings,
    };
    let rules = rules(section, &mut draft, problems);
    check_root(section, problems);
    let pages = section.tables("error_page");
    let numbers = draft.surroundings.numbers.get(&name).cloned();
    // Without the root it cannot be told whether a file of it is there.
    let error_pages = match root_is_known {
        true => ErrorPages::build(pages, draft.root.as_ref(), problems),
        false => ErrorPages::default(),
    };
    Site {
        key: SiteKey::of(&name),
        name,
        encoded_slash: encoded_slash(section),
        https: section.given_table("https").map(Https::build),
        compress: section
            .given_table("compress")
            .map(|table| Arc::new(Compress::build(table, problems))),
        access: Access::build(section, problems),
        numbers: numbers.unwrap_or_default(),
        error_pages,
        reserve: reserve(section),
        clients: RateLimiter::new(allowance(&section.table("limits"))),
        guards_paths: guard_paths(&rules),
        rules,
    }
}

/// Returns the root of a site, and whether it could be understood: something stands for one that could
/// not, so that nothing is said to lack it.
fn site_root(section: &Lowered, problems: &mut Problems) -> (Option<Root>, bool) {
    let any = || Root(PathBuf::from("/"));
    let Some(text) = section.text("root") else {
        let is_wrong = section.is_wrong("root");
        return (is_wrong.then(any), !is_wrong);
    };
    let root = Root::at(&text, problems);
    let is_known = root.is_some();
    (Some(root.unwrap_or_else(any)), is_known)
}

/// Returns the upstream of a site; likewise one without servers stands for one that is not understood.
fn site_php(
    section: &Lowered,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Arc<Upstream>> {
    let nobody = || surroundings.nobody();
    let Some(text) = section.text("php") else {
        return section.is_wrong("php").then(nobody);
    };
    let upstream = surroundings.upstream(&text, problems);
    Some(upstream.unwrap_or_else(nobody))
}

/// Builds and reviews the rules of a site: those that are written, and those that other keys imply.
fn rules(section: &Lowered, draft: &mut Draft<'_, '_>, problems: &mut Problems) -> Rules<Step> {
    let written = section.tables("rule").iter();
    let (written, mut rules): (Vec<_>, Vec<_>) = written
        .filter_map(|rule| Some((rule, build_rule(rule, draft, problems)?)))
        .unzip();
    let meant = meant(section, problems);
    let meant = meant.iter();
    // Nobody can act on a warning about a rule that nobody wrote.
    let mut found = Problems::default();
    rules.extend(meant.filter_map(|meant| build_rule(&meant.rule, draft, &mut found)));
    problems.append(found.without_warnings());
    let rules = Rules::new(rules);
    review(&written, &rules, draft.surroundings.sources, problems);
    rules
}

fn guard_paths(rules: &Rules<Step>) -> bool {
    let mut rules = rules.iter();
    rules.any(|rule| rule.then.guards() && rule.conditions().name_paths())
}

/// Its first host, or `default`, and behind an `@` the listeners where it has its own: no other site has that name.
pub(super) fn site_name(section: &Lowered) -> String {
    let mut hosts = section.texts("hosts").into_iter();
    let host = hosts.next();
    let host = host.map_or_else(|| "default".to_owned(), |host| host.value);
    let listeners = section.texts("listen").into_iter();
    let listeners: Vec<_> = listeners.map(|listener| listener.value).collect();
    match listeners.is_empty() {
        true => host,
        false => format!("{host}@{}", listeners.join("+")),
    }
}

fn check_root(section: &Lowered, problems: &mut Problems) {
    let is_there = |key| section.is_given(key) || section.is_wrong(key);
    if is_there("root") || is_there("mount") {
        return;
    }
    if section.is_given("php") && section.flag("implied_rules") {
        let problem = Problem::new(section.place_of("php"), "`php` needs a `root`");
        problems.push(problem.help("root = \"/srv/app/public\": where index.php is"));
    } else if section.tables("rule").is_empty() {
        let problem = Problem::new(section.place(), "the site has neither a `root` nor a rule");
        problems.push(problem.help("root = \"/srv/app/public\""));
    }
}

fn spool_settings(
    section: &Lowered,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> SpoolSettings {
    let server = surroundings.server;
    let own = section
        .given_table("limits")
        .filter(|limits| limits.is_given("body"));
    if let Some(limits) = &own {
        warn_of_bodies(limits, server.shared.spool, problems);
    }
    SpoolSettings {
        streamed: Arc::clone(surroundings.streamed_uploads),
        mode: request_body(section).unwrap_or(Mode::Auto),
        directory: server.spool_directory.clone(),
        budget: Arc::clone(&surroundings.budgets.spool),
        memory: Arc::clone(&surroundings.budgets.bodies),
        site: SiteKey::of(&site_name(section)),
        limit: own.map_or(server.limits.body, |limits| limits.size("body").0),
        pause: server.limits.body_pause,
        stream_rate: server.limits.stream_rate,
    }
}

fn encoded_slash(section: &Lowered) -> EncodedSlash {
    let text = section.text("encoded_slash");
    match text.as_ref().map(|text| text.value.as_str()) {
        Some("keep") => EncodedSlash::Keep,
        Some("decode") => EncodedSlash::Decode,
        Some(_) | None => EncodedSlash::Reject,
    }
}

//! `[[site]]`: what is served for some hosts, and what its three lines mean.

use std::path::PathBuf;
use std::sync::Arc;

use super::expansion::meant;
use super::mount::{FRONT_CONTROLLER, INDEX, MOUNT};
use super::numbers::SiteNumbers;
use super::preset::PRESET;
use super::review::review;
use super::rule::{RULE, build_rule};
use super::server::warn_of_bodies;
use super::surroundings::Surroundings;
use crate::auth::Access;
use crate::auth::access::{ALLOW, DENY};
use crate::cgi::contract::{AUTHORIZATION, CANONICAL_NAME, PASS_FIELDS};
use crate::cgi::meta_variables::Constants;
use crate::cgi::response::HeadLimits;
use crate::cgi::{Contract, Mapping};
use crate::filter::compress::{COMPRESS, Compress};
use crate::filter::error_page::{ERROR_PAGE, ErrorPages};
use crate::handler::fastcgi::send_file::SEND_FILE;
use crate::handler::fastcgi::{
    AmbiguousFields, Fastcgi, Missing, REQUEST_BODY, Refusals, ScriptRule, SendFile,
};
use crate::handler::https::{HTTPS, Https};
use crate::handler::mount::Mount;
use crate::handler::readings::Readings;
use crate::handler::static_files::{FILES, FileSettings};
use crate::handler::step::{self, Step};
use crate::limits::budget::SiteKey;
use crate::limits::rate::Clients;
use crate::limits::{BODY, SITE_LIMITS, allowance};
use crate::message::edits::Edits;
use crate::message::spool::{Mode, SpoolSettings};
use crate::message::{Disk, EncodedSlash, Request, Root};
use crate::route::Rules;
use crate::section::{AnyKey, At, Key, Lowered, Place, Problem, Problems, Section, Table, Tables};
use crate::tls::SITE_TLS;
use crate::upstream::Upstream;

/// The `[[site]]` section.
pub static SITE: Section = Section {
    title: "[[site]]",
    doc: "What is served for some hosts. The rules come first, in their order; then the mounts, then what `preset` stands for. Then, with `root` and `php`: an existing file is sent, an existing .php script runs, a folder tries `index`, and everything else goes to the front controller; with `root` alone: files.",
    groups: &[&[
        &HOSTS,
        &LISTEN,
        &ROOT,
        &PHP,
        &INDEX,
        &FRONT_CONTROLLER,
        &PRESET,
        &IMPLIED_RULES,
        &ENCODED_SLASH,
        &REQUEST_BODY,
        &TLS,
        &HTTPS_KEY,
        &COMPRESS_KEY,
        &ALLOW,
        &DENY,
        &CANONICAL_NAME,
        &AUTHORIZATION,
        &PASS_FIELDS,
        &LIMITS,
        &step::keys::RESERVE,
        &SEND_FILE_KEY,
        &ERROR_PAGES,
        &FILES_TABLE,
        &MOUNTS,
        &RULES,
    ]],
};

pub(super) static HOSTS: Key<Vec<At<String>>> = Key::texts("hosts", "The hosts that the site answers for: \"example.org\", or \"*.example.org\" for every name below it. A site without answers for all others; where none is without, that is the first.").example("[\"example.org\", \"*.example.org\"]");

pub(super) static LISTEN: Key<Vec<At<String>>> = Key::texts("listen", "The names of the listeners that the site answers on, as `<VirtualHost *:8080>` is for one port; a listener that is named so has these sites alone. Sites without `listen` answer on all other listeners. In logs and metrics the site is called by its host and these names: `example.org@admin`.").example("[\"admin\"]");

pub(super) static ROOT: Key<Option<At<String>>> =
    Key::text("root", "The document root, an absolute path.").shown("\"/srv/app/public\"");

pub(super) static PHP: Key<Option<At<String>>> = Key::text("php", "Where PHP-FPM listens: \"unix:/path\", \"host:port\", the name of an [upstream.NAME], or as Apache says it, \"unix:/path|fcgi://localhost\".").example("\"unix:/run/php/php-fpm.sock\"");

pub(super) static IMPLIED_RULES: Key<bool> = Key::flag("implied_rules", "Whether `root` and `php` mean rules of their own, after all others. With false they are only what rules leave out.").default("true");

static ENCODED_SLASH: Key<At<String>> = Key::one_of("encoded_slash", &["reject", "keep", "decode"], "What %2F in a path means: \"reject\" is 404, \"keep\" leaves it as the three bytes, \"decode\" makes it a slash before anything looks at the path.").default("\"reject\"");

pub(super) static TLS: Key<Table> = Key::table("tls", &SITE_TLS, "The certificate of the site.")
    .example("{ certificate = \"/etc/tls/example.pem\", key = \"/etc/tls/example.key\" }");

pub(super) static HTTPS_KEY: Key<Table> = Key::flag_or("https", &HTTPS, "Keeps the site to TLS.");

static COMPRESS_KEY: Key<Table> = Key::flag_or(
    "compress",
    &COMPRESS,
    "Content codings: gzip, brotli and zstd, for those who accept them.",
);

static LIMITS: Key<Table> = Key::table(
    "limits",
    &SITE_LIMITS,
    "What this site allows otherwise than server.limits.",
)
.example("{ body = \"128MiB\" }");

static SEND_FILE_KEY: Key<Table> = Key::table(
    "send_file",
    &SEND_FILE,
    "Files that a script names and the gateway sends.",
)
.example("{ roots = [\"/srv/files\"] }");

static ERROR_PAGES: Key<Tables> = Key::tables(
    "error_page",
    &ERROR_PAGE,
    "What a client sees in place of errors.",
)
.example("[{ status = [\"404\"], body = \"Not here.\" }]");

pub(super) static FILES_TABLE: Key<Table> = Key::table("files", &FILES, "How files are sent.");

pub(super) static MOUNTS: Key<Tables> =
    Key::tables("mount", &MOUNT, "Other roots at paths of the site.").example("[]");

pub(super) static RULES: Key<Tables> = Key::tables(
    "rule",
    &RULE,
    "What comes before the meaning of `root` and `php`.",
)
.example("[]");

/// A site, ready to serve.
#[derive(Debug)]
pub struct Site {
    /// Its first host, or `default`; with `@` and its listeners, where it has some of its own.
    pub name: Arc<str>,
    /// The same for what is shared out.
    pub key: SiteKey,
    /// What `%2F` means.
    pub encoded_slash: EncodedSlash,
    /// Whether it is kept to TLS.
    pub https: Option<Https>,
    /// In which codings its answers go out.
    pub compress: Option<Arc<Compress>>,
    /// Which clients it is there for.
    pub access: Access,
    /// What is kept for it of its upstreams, in per cent.
    pub reserve: Option<At<u8>>,
    /// What one client may do, where that is limited; a reload begins to count anew.
    pub clients: Option<Clients>,
    /// What was answered for it.
    pub numbers: Arc<SiteNumbers>,
    /// What stands in place of errors.
    pub error_pages: ErrorPages,
    /// In order; the first that matches and does not decline answers.
    pub rules: Rules<Step>,
    /// Whether one of them refuses by path: it is held against all [`Readings`].
    refuses_paths: bool,
}

/// How a handler finds its script.
pub(super) struct Scripts {
    pub(super) rule: ScriptRule,
    pub(super) missing: Missing,
    pub(super) mount: Mount,
}

/// A site while it is built.
pub(super) struct Draft<'a, 'b> {
    pub(super) name: Arc<str>,
    pub(super) root: Option<Root>,
    pub(super) php: Option<Arc<Upstream>>,
    pub(super) spool: SpoolSettings,
    has_reserve: bool,
    contract: Contract,
    ambiguous: Arc<AmbiguousFields>,
    send_file: SendFile,
    pub(super) files: FileSettings,
    pub(super) surroundings: &'a Surroundings<'b>,
}

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
            .given(&SEND_FILE_KEY)
            .map(|table| SendFile::build(table, problems))
            .unwrap_or_default(),
        has_reserve: section.is_given(&step::keys::RESERVE),
        files: FileSettings::build(
            &section.get(&FILES_TABLE),
            &FileSettings::default(),
            problems,
        ),
        surroundings,
    };
    let rules = rules(section, &mut draft, problems);
    check_root(section, problems);
    let pages = section.get(&ERROR_PAGES);
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
        https: section.given(&HTTPS_KEY).map(Https::build),
        compress: section
            .given(&COMPRESS_KEY)
            .map(|table| Arc::new(Compress::build(table, problems))),
        access: Access::build(section, problems),
        numbers: numbers.unwrap_or_default(),
        error_pages,
        reserve: step::reserve(section),
        clients: Clients::new(allowance(&section.get(&LIMITS))),
        refuses_paths: refuse_paths(&rules),
        rules,
    }
}

/// Returns the root of a site, and whether it could be understood: something stands for one that could
/// not, so that nothing is said to lack it.
fn site_root(section: &Lowered, problems: &mut Problems) -> (Option<Root>, bool) {
    let any = || Root(PathBuf::from("/"));
    let Some(text) = section.get(&ROOT) else {
        let is_wrong = section.is_wrong(&ROOT);
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
    let Some(text) = section.get(&PHP) else {
        return section.is_wrong(&PHP).then(nobody);
    };
    let upstream = surroundings.upstream(&text, problems);
    Some(upstream.unwrap_or_else(nobody))
}

/// Builds and reviews the rules of a site: those that are written, and those that other keys imply.
fn rules(section: &Lowered, draft: &mut Draft<'_, '_>, problems: &mut Problems) -> Rules<Step> {
    let written = section.get(&RULES).iter();
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

fn refuse_paths(rules: &Rules<Step>) -> bool {
    let mut rules = rules.iter();
    rules.any(|rule| rule.then.refuses() && rule.conditions().name_paths())
}

impl Site {
    /// Returns the other readings of a new request, where a rule refuses by path and there are any.
    pub fn readings(&self, request: &Request) -> Option<Box<Readings>> {
        self.refuses_paths.then(|| Readings::of(request)).flatten()
    }

    /// Returns what its rules change about an answer that no rule makes: those without an action that hold,
    /// but where the target could not be read (`is_read`) none that asks for it. Notes it in `request`.
    pub fn edits_without_rules(
        &self,
        request: &mut Request,
        is_read: bool,
        disk: &dyn Disk,
    ) -> Option<Arc<Edits>> {
        for (number, rule) in self.rules.iter().enumerate() {
            let step = &rule.then;
            let (Some(changes), None, false) = (&step.changes, &step.handler, step.internal) else {
                continue;
            };
            if !is_read && rule.conditions().asks_for_target() {
                continue;
            }
            // A pattern that took too long changes nothing about what was refused already.
            if let Ok(Some(captures)) = rule.matches(request, disk) {
                request.note(changes.resolve(number, request, &captures));
            }
        }
        request.edits.clone()
    }
}

/// Its first host, or `default`, and behind an `@` the listeners where it has its own: no other site has that name.
pub(super) fn site_name(section: &Lowered) -> String {
    let mut hosts = section.get(&HOSTS).into_iter();
    let host = hosts.next();
    let host = host.map_or_else(|| "default".to_owned(), |host| host.value);
    let listeners = section.get(&LISTEN).into_iter();
    let listeners: Vec<_> = listeners.map(|listener| listener.value).collect();
    match listeners.is_empty() {
        true => host,
        false => format!("{host}@{}", listeners.join("+")),
    }
}

fn check_root(section: &Lowered, problems: &mut Problems) {
    let is_there = |key: &dyn AnyKey| section.is_given(key) || section.is_wrong(key);
    if is_there(&ROOT) || is_there(&MOUNTS) {
        return;
    }
    if section.is_given(&PHP) && section.get(&IMPLIED_RULES) {
        let problem = Problem::new(section.place_of(&PHP), "`php` needs a `root`");
        problems.push(problem.help("root = \"/srv/app/public\": where index.php is"));
    } else if section.get(&RULES).is_empty() {
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
        .given(&LIMITS)
        .filter(|limits| limits.is_given(&BODY));
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
        limit: own.map_or(server.limits.body, |limits| limits.get(&BODY).0),
        pause: server.limits.body_pause,
        stream_rate: server.limits.stream_rate,
    }
}

/// `request_body` of a section, where it is given.
pub(super) fn request_body(section: &Lowered) -> Option<Mode> {
    match section.get(&REQUEST_BODY)?.as_str() {
        "stream" => Some(Mode::Stream),
        "spool" => Some(Mode::Spool),
        _ => Some(Mode::Auto),
    }
}

fn encoded_slash(section: &Lowered) -> EncodedSlash {
    match section.get(&ENCODED_SLASH).as_str() {
        "keep" => EncodedSlash::Keep,
        "decode" => EncodedSlash::Decode,
        _ => EncodedSlash::Reject,
    }
}

impl Draft<'_, '_> {
    /// A handler that asks `upstream`.
    pub(super) fn fastcgi(
        &self,
        upstream: Arc<Upstream>,
        mapping: Mapping,
        script: Scripts,
        place: &Place,
    ) -> Fastcgi {
        let send_file = self.send_file.clone().seen_through(&mapping);
        let limits = &self.surroundings.server.limits;
        let seen_elsewhere = mapping.backend_root.is_some();
        let site_root = self.root.as_ref().map(|root| root.0.as_path());
        let root = match script.rule {
            // Apache's, wherever the target of a ProxyPassMatch lies.
            ScriptRule::FileName(_) => site_root.filter(|_| !seen_elsewhere),
            ScriptRule::Walk | ScriptRule::Fixed { .. } | ScriptRule::Files(_) => {
                script.mount.document_root(site_root, seen_elsewhere)
            }
        };
        let contract = self
            .contract
            .for_responder(self.surroundings.responder(&upstream))
            .below(root);
        let constants = Constants::mounted(&mapping, script.mount.as_str(), &contract);
        let constants = send_file.announce(constants);
        let response_buffer = self.surroundings.response_buffer(&upstream);
        let name = upstream.name.as_str().into();
        let timeouts = self.surroundings.timeouts(&upstream);
        let place: Arc<str> = self.surroundings.sources.show(place).into();
        let backend_root_place = self.surroundings.backend_root_place(&upstream);
        Fastcgi {
            upstream,
            mapping,
            mount: script.mount,
            constants,
            contract,
            ambiguous: Arc::clone(&self.ambiguous),
            script: script.rule,
            missing: script.missing,
            spool: self.spool.clone(),
            has_reserve: self.has_reserve,
            head: HeadLimits {
                bytes: limits.answer_head,
                fields: limits.answer_fields,
            },
            timeouts,
            ignore_client_abort: false,
            send_file,
            response_buffer,
            answers: Arc::clone(&self.surroundings.budgets.answers),
            live_streams: Arc::clone(self.surroundings.live_streams),
            name,
            site: Arc::clone(&self.name),
            place: Arc::clone(&place),
            backend_root_place,
            refusals: Refusals::new(place),
            error_log: Arc::clone(self.surroundings.error_log),
        }
    }
}

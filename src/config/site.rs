//! `[[site]]`: settings and rules for some hosts, and the rules implied by its three lines.

use std::path::PathBuf;
use std::sync::Arc;

use super::build_context::BuildContext;
use super::draft::{Draft, request_body};
use super::expansion::implied_rules;
use super::kept_limiters::KeptLimiters;
use super::mount::MOUNTS;
use super::review::review;
use super::rule::build_rule;
use super::server::{SLOW, warn_of_bodies};
use super::site_section::{
    COMPRESS_KEY, ENCODED_SLASH, ERROR_PAGES, FILES_TABLE, HOSTS, HTTPS_KEY, IMPLIED_RULES, LIMITS,
    LISTEN, PHP, ROOT, RULES, SEND_FILE_KEY,
};
use crate::auth::Access;
use crate::cgi::Contract;
use crate::cgi::contract::canonical_name;
use crate::filter::compress::Compress;
use crate::filter::error_page::ErrorPages;
use crate::handler::answer::SendFile;
use crate::handler::fastcgi::{AmbiguousFields, SlowLog};
use crate::handler::https::Https;
use crate::handler::static_files::FileSettings;
use crate::limits::budget::SiteKey;
use crate::limits::rate::RateLimiter;
use crate::limits::request_limit::{PartitionKey, RequestLimit};
use crate::limits::{BODY, KEY};
use crate::message::spool::{Mode, SpoolSettings};
use crate::message::{EncodedSlash, Root};
use crate::modifier::Step;
use crate::modifier::reserve::{RESERVE, reserve};
use crate::route::Rules;
use crate::section::{AnyKey, Lowered, Problem, Problems};
use crate::site::Site;
use crate::site::needs::Needs;
use crate::upstream::Upstream;

pub(super) fn build_site(
    section: &Lowered,
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> Site {
    let (root, root_is_known) = site_root(section, problems);
    let name: Arc<str> = site_name(section).into();
    let previous = context.previous_sites.get(&name);
    let kept_limiters = KeptLimiters::of(previous.map(|site| &**site));
    let mut draft = Draft {
        name: Arc::clone(&name),
        root,
        php: site_php(section, context, problems),
        spool: spool_settings(section, context, problems),
        contract: Contract::build(section, problems),
        ambiguous: Arc::new(AmbiguousFields::new(Arc::clone(&name))),
        send_file: section
            .given(&SEND_FILE_KEY)
            .map(|table| SendFile::build(table, problems))
            .unwrap_or_default(),
        has_reserve: section.is_given(&RESERVE),
        files: FileSettings::build(
            &section.get(&FILES_TABLE),
            &FileSettings::default(),
            problems,
        ),
        slow: slow_log(section, context),
        limiter: limiter(section, &kept_limiters, context, problems),
        kept_limiters,
        context,
    };
    let rules = rules(section, &mut draft, problems);
    check_root(section, problems);
    let numbers = previous.map(|site| Arc::clone(&site.numbers));
    // Without the root, the existence of its files is unknown.
    let error_pages = root_is_known
        .then(|| ErrorPages::build(section.get(&ERROR_PAGES), draft.root.as_ref(), problems));
    Site {
        key: SiteKey::of(&name),
        name,
        encoded_slash: encoded_slash(section),
        canonical: canonical_name(section, problems),
        https: section.given(&HTTPS_KEY).map(Https::build),
        compress: section
            .given(&COMPRESS_KEY)
            .map(|table| Arc::new(Compress::build(table, problems))),
        access: Access::build(section, problems),
        access_logs: context.logs.of_section(section, problems),
        numbers: numbers.unwrap_or_default(),
        error_pages: error_pages.unwrap_or_default(),
        reserve: reserve(section),
        limiter: draft.limiter,
        guards_paths: guard_paths(&rules),
        needs: Needs::of(&rules),
        rules,
    }
}

/// Builds the log of slow scripts; "0s" is none.
fn slow_log(section: &Lowered, context: &BuildContext<'_>) -> Option<Arc<SlowLog>> {
    let limit = section.get(&SLOW).or(context.server.slow)?;
    (!limit.is_zero()).then(|| Arc::new(SlowLog::new(limit)))
}

/// Builds the limiter of a site, with the counts of the previous configuration if its limit is the same.
fn limiter(
    section: &Lowered,
    kept: &KeptLimiters,
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> Option<RateLimiter> {
    let table = section.given(&LIMITS)?;
    let limit = RequestLimit::build(table, &|place| context.sources.show(place), problems)?;
    if limit.key == PartitionKey::User {
        let message = "the requests of a site cannot be counted by user: its limit comes before authentication";
        let problem = Problem::new(table.place_of(&KEY), message);
        problems.push(problem.help("set it in `limits` of a rule with `auth`"));
    }
    let mut limiter = RateLimiter::new(limit);
    kept.continue_site(&mut limiter);
    Some(limiter)
}

/// Returns the root of a site, and whether it is valid; an invalid one is replaced by a placeholder, so
/// that nothing is reported as lacking it.
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

/// Returns the upstream of a site; a placeholder without servers replaces an invalid one.
fn site_php(
    section: &Lowered,
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> Option<Arc<Upstream>> {
    let nobody = || context.placeholder_upstream();
    let Some(text) = section.get(&PHP) else {
        return section.is_wrong(&PHP).then(nobody);
    };
    let upstream = context.upstream(&text, problems);
    Some(upstream.unwrap_or_else(nobody))
}

/// Builds and reviews the rules of a site: the written ones, and those implied by other keys.
fn rules(section: &Lowered, draft: &mut Draft<'_, '_>, problems: &mut Problems) -> Rules<Step> {
    let written = section.get(&RULES).iter();
    let (written, mut rules): (Vec<_>, Vec<_>) = written
        .filter_map(|rule| Some((rule, build_rule(rule, draft, problems)?)))
        .unzip();
    // Warnings about an implied rule are of no use to the user.
    let mut found = Problems::default();
    for implied in implied_rules(section, problems) {
        rules.extend(build_rule(&implied.rule, draft, &mut found));
    }
    problems.append(found.without_warnings());
    let rules = Rules::new(rules);
    let limit = draft.limiter.as_ref().map(RateLimiter::limit);
    review(&written, &rules, limit, draft.context.sources, problems);
    rules
}

fn guard_paths(rules: &Rules<Step>) -> bool {
    let mut rules = rules.iter();
    rules.any(|rule| rule.then.guards() && rule.conditions().names_paths())
}

/// Returns the unique name of a site: its first host, or `default`, followed by `@` and its own listeners, if any.
pub(super) fn site_name(section: &Lowered) -> String {
    let mut hosts = section.get(&HOSTS).into_iter().map(|host| host.value);
    let host = hosts.next().unwrap_or_else(|| "default".to_owned());
    let listeners: Vec<_> = section
        .get(&LISTEN)
        .into_iter()
        .map(|listener| listener.value)
        .collect();
    if listeners.is_empty() {
        host
    } else {
        format!("{host}@{}", listeners.join("+"))
    }
}

fn check_root(section: &Lowered, problems: &mut Problems) {
    let is_there = |key: &dyn AnyKey| section.is_given(key) || section.is_wrong(key);
    if is_there(&ROOT) || is_there(&MOUNTS) {
        return;
    }
    if section.is_given(&PHP) && section.get(&IMPLIED_RULES) {
        let problem = Problem::new(section.place_of(&PHP), "`php` needs a `root`");
        problems.push(problem.help("root = \"/srv/app/public\": the folder of index.php"));
    } else if section.get(&RULES).is_empty() {
        let problem = Problem::new(section.place(), "the site has neither a `root` nor a rule");
        problems.push(problem.help("root = \"/srv/app/public\""));
    }
}

fn spool_settings(
    section: &Lowered,
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> SpoolSettings {
    let server = context.server;
    let own = section
        .given(&LIMITS)
        .filter(|limits| limits.is_given(&BODY));
    if let Some(limits) = &own {
        warn_of_bodies(limits, server.shared.spool, problems);
    }
    SpoolSettings {
        streamed: Arc::clone(context.streamed_uploads),
        mode: request_body(section).unwrap_or(Mode::Auto),
        directory: server.spool_directory.clone(),
        budget: Arc::clone(&context.budgets.spool),
        memory: Arc::clone(&context.budgets.bodies),
        site: SiteKey::of(&site_name(section)),
        limit: own.map_or(server.limits.body, |limits| limits.get(&BODY).0),
        pause: server.limits.body_pause,
        stream_rate: server.limits.stream_rate,
    }
}

fn encoded_slash(section: &Lowered) -> EncodedSlash {
    match section.get(&ENCODED_SLASH).as_str() {
        "keep" => EncodedSlash::Keep,
        "decode" => EncodedSlash::Decode,
        _ => EncodedSlash::Reject,
    }
}

//! `fastcgi`: passes a request to a script of a FastCGI application.

mod ambiguous_fields;
mod attempt;
mod bounds;
mod by_path;
mod call;
mod call_times;
mod diagnosis;
mod file_name;
mod output;
mod slow;
mod stderr;
pub mod target;
mod times;
mod variables;

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

pub use ambiguous_fields::AmbiguousFields;
pub use bounds::OwnBounds;
pub use call::Call;
pub use call_times::CallTimeouts;
pub use diagnosis::{Refusals, explain_unknown_script};
pub use file_name::FileName;
pub use output::ScriptOutput;
pub use slow::SlowLog;
pub use stderr::{ErrorLog, ScriptLog};
pub use times::{RULE_TIMEOUTS, RULE_TIMES, warn_of_total};

use super::answer;
use super::mount::{MOUNTED_AT, Mount};
use super::static_files::SCRIPT_SYMLINKS;
use super::{Decision, Plan};
use crate::cgi::meta_variables::Constants;
use crate::cgi::response::HeadLimits;
use crate::cgi::{Contract, Mapping, ResolvedRoots, Script, script};
use crate::failure::Failure;
use crate::limits::HANDLER_LIMITS;
use crate::message::spool::SpoolSettings;
use crate::message::{Disk, Request};
use crate::route::condition::Pattern;
use crate::route::template::Template;
use crate::route::{Captures, Scope};
use crate::section::{At, Key, Section, Table};
use crate::upstream::Upstream;

/// The `fastcgi` key of a rule.
pub static KEY: Key<Table> = Key::table("fastcgi", &FASTCGI, "Runs a script.")
    .example("{ upstream = \"php\", script = \"/srv/app/public/index.php\" }");

/// The `fastcgi` section.
pub static FASTCGI: Section = Section {
    title: "[site.rule.fastcgi]",
    doc: "Runs a script through FastCGI.",
    groups: &[&[
        &UPSTREAM,
        &SCRIPT,
        &PATH_INFO,
        &ROOT,
        &MOUNTED_AT,
        &MISSING,
        &SCRIPT_SYMLINKS,
        &REQUEST_BODY,
        &IGNORE_CLIENT_ABORT,
        &LIMITS,
        &TIMEOUTS,
    ]],
};

pub(crate) static UPSTREAM: Key<Option<At<String>>> = Key::text("upstream", "An [upstream.NAME], or an address: \"unix:/path\" or \"host:port\"; default: the site's `php`.").example("\"php\"");

pub(crate) static SCRIPT: Key<Option<At<String>>> = Key::text("script", "The script's file, an absolute path below `root` as the gateway sees it: a template of $1 … $9, ${name}, $path. Default: the first existing .php file along the path.").example("\"/srv/app/public/index.php\"");

pub(crate) static PATH_INFO: Key<Option<At<String>>> = Key::text(
    "path_info",
    "PATH_INFO, with `script`: a template. Default: none.",
)
.example("\"/$1\"");

pub(crate) static ROOT: Key<Option<At<String>>> = Key::text("root", "DOCUMENT_ROOT, an absolute path that contains every script; default: the site's root. With `mounted_at` it is CONTEXT_DOCUMENT_ROOT, and DOCUMENT_ROOT is the site's, as with Apache's Alias.").example("\"/srv/app/public\"");

pub(crate) static MISSING: Key<At<String>> = Key::one_of("missing", &["404", "decline", "pass"], "Handling of a request whose script does not exist: \"404\", \"decline\" to the next rule, or \"pass\" to PHP, for a gateway that does not see the files of PHP.").default("\"404\"");

pub(crate) static IGNORE_CLIENT_ABORT: Key<bool> = Key::flag("ignore_client_abort", "Lets PHP finish a GET, HEAD or OPTIONS after its client has disconnected. Other methods always run to their end once the whole body is received.").default("false");

pub(crate) static LIMITS: Key<Table> = Key::table(
    "limits",
    &HANDLER_LIMITS,
    "Limits of this rule in place of those of its site; they take precedence over `limits` of this rule and of those before it.",
)
.example("{ body = \"1GiB\" }");

pub(crate) static TIMEOUTS: Key<Table> = Key::table(
    "timeouts",
    &RULE_TIMEOUTS,
    "Time limits of this rule in place of those of its upstream; they take precedence over `timeouts` of this rule and of those before it.",
)
.example("{ first_byte = \"300s\" }");

/// When a worker is asked for; a site and a rule have it.
pub static REQUEST_BODY: Key<Option<At<String>>> = Key::one_of("request_body", &["auto", "stream", "spool"], "Delivery of a request body to PHP. \"auto\": it is received first, into memory and then a file, and streamed as soon as the rest is expected within 2 s, at the rate of the last 64 KiB or 256 ms; up to 64 KiB it is never streamed. A client that then keeps a worker waiting for 4 s in all gets 408 if others wait for that worker. \"spool\": always received first. \"stream\": passed on as it arrives. PHP executes a streamed upload that breaks off with the part that arrived; only \"spool\" prevents that: see docs/cgi.md. Bodies of unknown length are always received first.").example("\"spool\"");

/// The `fastcgi` handler: its upstream, its scripts, its limits.
#[derive(Debug)]
pub struct Fastcgi {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// The roots, for the gateway and for the application.
    pub mapping: Arc<Mapping>,
    /// The prefix of the URL that maps to the root.
    pub mount: Mount,
    /// Variables that the mapping determines, equal for all requests.
    pub constants: Constants,
    /// Rules for the variables of this site and upstream.
    pub contract: Contract,
    /// Counter and log of the fields that are not exported.
    pub ambiguous: Arc<AmbiguousFields>,
    /// Search rule of the script.
    pub script: ScriptRule,
    /// Reaction to a script that does not exist.
    pub missing: Missing,
    /// Buffering of request bodies.
    pub spool: SpoolSettings,
    /// True if a part of the upstream's capacity is reserved for the site.
    pub has_reserve: bool,
    /// Limits on the head of an answer.
    pub head: HeadLimits,
    /// Time limits of a call.
    pub timeouts: Arc<CallTimeouts>,
    /// Limits that `limits` and `timeouts` of rules do not change.
    pub own: OwnBounds,
    /// True if a safe method runs to its end after its client has gone.
    pub ignore_client_abort: bool,
    /// Limits and orders of its answers.
    pub answers: Arc<answer::Settings>,
    /// Fields common to its log lines.
    pub log: Arc<ScriptLog>,
}

/// Search rule of a script.
#[derive(Debug)]
pub enum ScriptRule {
    /// The first existing script along the path.
    Walk,
    /// A fixed script with a fixed PATH_INFO.
    Fixed {
        /// The template of its file.
        script: Template,
        /// The template of PATH_INFO.
        path_info: Option<Template>,
    },
    /// The first existing file along the path whose name matches: Apache's SetHandler.
    Files(Box<Pattern>),
    /// A file name followed by PATH_INFO, as in the target of a ProxyPassMatch.
    FileName(Box<FileName>),
}

/// Reaction to a request whose script does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// 404, without a call.
    NotFound,
    /// The next rule decides.
    Decline,
    /// The application is called all the same.
    Pass,
}

impl Fastcgi {
    /// Reports whether the handler comes from a ProxyPassMatch.
    pub(super) fn is_proxy_target(&self) -> bool {
        matches!(self.script, ScriptRule::FileName(_))
    }

    /// Logs the counts that no line has reported yet.
    pub(super) fn close(&self) {
        self.log.refusals.close();
        self.ambiguous.close();
    }

    pub(super) fn decide(
        self: &Arc<Self>,
        request: &Request,
        captures: &Captures,
        disk: &dyn Disk,
    ) -> Decision {
        if self.mount.below(request.target.path()).is_none() {
            return Decision::Decline;
        }
        let scope = Scope::new(request, captures);
        let found = match &self.script {
            ScriptRule::Walk => self.find_along(request.target.path(), disk),
            ScriptRule::Files(pattern) => self.find_file(pattern, request.target.path(), disk),
            ScriptRule::Fixed { script, path_info } => {
                self.find_fixed(script, path_info.as_ref(), &scope, disk)
            }
            ScriptRule::FileName(name) => self.find_named(name, &scope, disk),
        };
        match found {
            // PHP-FPM would take it for the beginning of a query (docs/cgi.md, "How a URL becomes a script").
            Ok(Some(script)) if self.contract.uses_apache_paths() && script.has(b'?') => {
                Decision::Fail(Failure::Forbidden("a `?` in the path, for an apache-fpm"))
            }
            Ok(Some(mut script)) => {
                script.resolved = self.resolve_roots(disk);
                Decision::Perform(Plan::Call(Call {
                    fastcgi: Arc::clone(self),
                    script: Arc::new(script),
                }))
            }
            Ok(None) if self.missing == Missing::Decline => Decision::Decline,
            Ok(None) => Decision::Fail(Failure::NotFound),
            Err(failure) => Decision::Fail(failure),
        }
    }

    /// Returns the roots without symbolic links, if PHP gets them and they have any.
    fn resolve_roots(&self, disk: &dyn Disk) -> Option<ResolvedRoots> {
        // With `pass` the gateway does not see the files.
        if !self.mapping.resolves_root || self.missing == Missing::Pass {
            return None;
        }
        let root = &self.mapping.root;
        let document_root = self.contract.document_root.as_ref();
        let script = disk.real_path(root);
        let document = document_root.and_then(|root| disk.real_path(root));
        if script.is_none() && document.is_none() {
            return None;
        }
        let script = script.unwrap_or_else(|| root.0.as_path().into());
        let document = document.unwrap_or_else(|| match document_root {
            Some(root) => root.0.as_path().into(),
            None => Arc::clone(&script),
        });
        Some(ResolvedRoots {
            script,
            document,
            accel_mapping: self.answers.send_file.accel_mapping(disk),
        })
    }

    /// Returns the script along the path of a request.
    fn find_along(&self, path: &[u8], disk: &dyn Disk) -> Result<Option<Script>, Failure> {
        let Some(below) = self.mount.below(path) else {
            return Ok(None);
        };
        let found = self.walk_path(below, disk)?;
        Ok(found.map(|script| Script {
            name: self.mount.above(script.name),
            ..script
        }))
    }

    fn find_file(
        &self,
        pattern: &Pattern,
        path: &[u8],
        disk: &dyn Disk,
    ) -> Result<Option<Script>, Failure> {
        for end in script::ends(path) {
            let file = path.get(..end).unwrap_or(path);
            let name = file.rsplit(|byte| *byte == b'/').next().unwrap_or(file);
            if pattern.is_match(name, &self.log.place)? && self.mapping.has(file, disk) {
                return Ok(Some(Script::at(path, end)));
            }
        }
        Ok(None)
    }

    fn walk_path(&self, path: &[u8], disk: &dyn Disk) -> Result<Option<Script>, Failure> {
        let end = match self.missing {
            Missing::Pass => script::candidates(path).next(),
            Missing::NotFound | Missing::Decline => script::find(path, &self.mapping, disk),
        };
        Ok(end.map(|end| Script::at(path, end)))
    }

    fn find_fixed(
        &self,
        script: &Template,
        path_info: Option<&Template>,
        scope: &Scope<'_>,
        disk: &dyn Disk,
    ) -> Result<Option<Script>, Failure> {
        let file = self.below_root(script.expand(scope))?;
        if self.missing != Missing::Pass && !self.mapping.has(&file, disk) {
            return Ok(None);
        }
        let path_info = path_info
            .map(|template| template.expand(scope))
            .unwrap_or_default();
        let path = scope.request.target.path();
        let name = script_name(path, self.mount.above(file.clone()), &path_info);
        Ok(Some(Script {
            file,
            name,
            path_info,
            resolved: None,
        }))
    }

    fn find_named(
        &self,
        name: &FileName,
        scope: &Scope<'_>,
        disk: &dyn Disk,
    ) -> Result<Option<Script>, Failure> {
        let expanded = name.file.expand(scope);
        let length = expanded.len();
        let file = self.below_root(expanded)?;
        let root = length - file.len();
        let path = scope.request.target.path();
        for end in script::ends(&file) {
            let is_script =
                name.names(&file, end, root) || name.matches(path, &file, end, &self.log.place)?;
            let found = Script::at(&file, end);
            if is_script && self.mapping.has(&found.file, disk) {
                // RFC 3875 §4.1.13: the path of the request, whatever folder the target puts before it.
                let name = path.strip_suffix(found.path_info.as_slice());
                return Ok(Some(Script {
                    name: name.unwrap_or(path).to_vec(),
                    ..found
                }));
            }
        }
        Ok(None)
    }

    /// Cuts the root off. No capture may lead out of it: a pattern that takes a part of a segment could put
    /// `..` together, so the check reads the result and not its parts.
    fn below_root(&self, file: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let root = self.mapping.root.0.as_os_str().as_bytes();
        let below = file
            .strip_prefix(root.strip_suffix(b"/").unwrap_or(root))
            .filter(|rest| rest.starts_with(b"/"));
        let climbs = |rest: &[u8]| {
            rest.split(|byte| *byte == b'/')
                .any(|segment| segment == b".." || segment == b".")
        };
        match below {
            Some(rest) if !climbs(rest) => Ok(rest.to_vec()),
            Some(_) | None => Err(Failure::Forbidden("the script lies outside its root")),
        }
    }
}

/// Returns SCRIPT_NAME (RFC 3875 §4.1.13): the path without PATH_INFO where it ends so, as with an alias; else
/// the script's `own` path, as with a front controller.
fn script_name(path: &[u8], own: Vec<u8>, path_info: &[u8]) -> Vec<u8> {
    match path.strip_suffix(path_info) {
        Some(name) if !path_info.is_empty() && !name.is_empty() => name.to_vec(),
        Some(_) | None => own,
    }
}

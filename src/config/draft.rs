//! A site under construction, and the handlers that its rules share.

use std::sync::Arc;

use super::build_context::BuildContext;
use super::kept_limiters::KeptLimiters;
use crate::cgi::meta_variables::Constants;
use crate::cgi::response::HeadLimits;
use crate::cgi::{Contract, Mapping};
use crate::handler::answer::{self, SendFile};
use crate::handler::fastcgi::{
    AmbiguousFields, Fastcgi, Missing, OwnBounds, REQUEST_BODY, Refusals, ScriptLog, ScriptRule,
    SlowLog,
};
use crate::handler::mount::Mount;
use crate::handler::static_files::FileSettings;
use crate::limits::rate::RateLimiter;
use crate::message::Root;
use crate::message::spool::{Mode, SpoolSettings};
use crate::section::{Lowered, Place};
use crate::upstream::Upstream;

/// Script mapping of a handler.
pub(super) struct Scripts {
    pub(super) rule: ScriptRule,
    pub(super) missing: Missing,
    pub(super) mount: Mount,
}

/// A site under construction.
pub(super) struct Draft<'a, 'b> {
    pub(super) name: Arc<str>,
    pub(super) root: Option<Root>,
    pub(super) php: Option<Arc<Upstream>>,
    pub(super) spool: SpoolSettings,
    pub(super) has_reserve: bool,
    /// The log of its slow scripts.
    pub(super) slow: Option<Arc<SlowLog>>,
    pub(super) contract: Contract,
    pub(super) ambiguous: Arc<AmbiguousFields>,
    pub(super) send_file: SendFile,
    pub(super) files: FileSettings,
    /// The limiter of the site.
    pub(super) limiter: Option<RateLimiter>,
    pub(super) kept_limiters: KeptLimiters,
    pub(super) context: &'a BuildContext<'b>,
}

impl Draft<'_, '_> {
    /// Builds a handler for `upstream`.
    pub(super) fn fastcgi(
        &self,
        upstream: Arc<Upstream>,
        mapping: Mapping,
        script: Scripts,
        place: &Place,
    ) -> Fastcgi {
        let send_file = self.send_file.clone().seen_through(&mapping);
        let limits = &self.context.server.limits;
        let seen_elsewhere = mapping.backend_root.is_some();
        let site_root = self.root.as_ref();
        let root = match script.rule {
            // Apache's, wherever the target of a ProxyPassMatch lies.
            ScriptRule::FileName(_) => site_root.filter(|_| !seen_elsewhere),
            ScriptRule::Walk | ScriptRule::Fixed { .. } | ScriptRule::Files(_) => {
                script.mount.document_root(site_root, seen_elsewhere)
            }
        };
        let contract = self
            .contract
            .for_responder(self.context.responder(&upstream))
            .below(root);
        let mounted = Constants::mounted(&mapping, script.mount.as_str(), &contract);
        let constants = send_file.announce(mounted);
        let answers = self.answers(send_file, &upstream);
        let mapping = Arc::new(mapping);
        let log = self.script_log(&upstream, &mapping, place);
        let timeouts = self.context.timeouts(&upstream);
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
            timeouts: Arc::new(timeouts),
            own: OwnBounds::default(),
            ignore_client_abort: false,
            answers: Arc::new(answers),
            log: Arc::new(log),
        }
    }

    fn answers(&self, send_file: SendFile, upstream: &Upstream) -> answer::Settings {
        answer::Settings {
            send_file,
            response_buffer: self.context.response_buffer(upstream),
            memory: Arc::clone(&self.context.budgets.answers),
            spool: Arc::clone(&self.spool.budget),
            spool_directory: self.spool.directory.clone(),
            live_streams: Arc::clone(self.context.live_streams),
        }
    }

    fn script_log(&self, upstream: &Upstream, mapping: &Arc<Mapping>, place: &Place) -> ScriptLog {
        let place: Arc<str> = self.context.sources.show(place).into();
        ScriptLog {
            site: Arc::clone(&self.name),
            upstream: upstream.name.as_str().into(),
            place: Arc::clone(&place),
            backend_root_place: self.context.backend_root_place(upstream),
            mapping: Arc::clone(mapping),
            refusals: Refusals::new(place),
            error_log: Arc::clone(self.context.error_log),
            slow: self.slow.clone(),
        }
    }
}

/// Returns `request_body` of a section, if given.
pub(super) fn request_body(section: &Lowered) -> Option<Mode> {
    match section.get(&REQUEST_BODY)?.as_str() {
        "stream" => Some(Mode::Stream),
        "spool" => Some(Mode::Spool),
        _ => Some(Mode::Auto),
    }
}

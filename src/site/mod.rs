//! The sites, their choice by host and listener, and the snapshot that holds all of them. `config` builds it; no
//! module here reads a file of the configuration.

pub mod hosts;
pub mod listener;
pub mod live;
pub mod logs;
pub mod needs;
pub mod numbers;
pub mod settings;
pub mod sharing;
pub mod snapshot;

use std::path::Path;
use std::sync::Arc;

pub use listener::{ListenAddress, Listener};
pub use live::Live;
pub use settings::{AdminAddress, AdminSettings, ServerSettings};
pub use snapshot::Snapshot;

use crate::access_log::AccessLogs;
use crate::auth::Access;
use crate::filter::compress::Compress;
use crate::filter::error_page::ErrorPages;
use crate::handler::https::Https;
use crate::limits::budget::SiteKey;
use crate::limits::rate::RateLimiter;
use crate::message::edits::{Edits, RuleId};
use crate::message::{EncodedSlash, Host, Request};
use crate::modifier::readings::Readings;
use crate::modifier::{Inputs, Step};
use crate::route::{Rules, Scope};
use crate::section::At;
use needs::Needs;
use numbers::SiteNumbers;

/// A site.
#[derive(Debug)]
pub struct Site {
    /// The first host, or `default`; with `@` and the listeners of `listen`.
    pub name: Arc<str>,
    /// Hash of the name, the key of the site's share of a budget.
    pub key: SiteKey,
    /// The treatment of `%2F`.
    pub encoded_slash: EncodedSlash,
    /// The name and port of the server, whatever a client names.
    pub canonical: Option<Arc<Host>>,
    /// The redirect to HTTPS, and HSTS.
    pub https: Option<Https>,
    /// The content codings of its responses.
    pub compress: Option<Arc<Compress>>,
    /// Access control by client address.
    pub access: Access,
    /// The reserved share of its upstreams, in per cent.
    pub reserve: Option<At<u8>>,
    /// Limit of its requests.
    pub limiter: Option<RateLimiter>,
    /// Its own access logs, in place of those of the listener or the server.
    pub access_logs: Option<Arc<AccessLogs>>,
    /// Counters of its requests.
    pub numbers: Arc<SiteNumbers>,
    /// Error pages by status.
    pub error_pages: ErrorPages,
    /// The upstreams and files that its rules name.
    pub needs: Needs,
    /// The rules in order; the first that matches and does not decline responds.
    pub rules: Rules<Step>,
    /// A rule guards paths, and is evaluated for all [`Readings`].
    pub(crate) guards_paths: bool,
}

impl Site {
    /// Returns the roots of its rules, each as often as a rule has it.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        let rules = self.rules.iter();
        rules.filter_map(|rule| rule.then.handler.as_ref()?.root())
    }

    /// Returns the other readings of a new request; `None` if there are none or no rule guards paths.
    pub fn readings(&self, request: &Request) -> Option<Box<Readings>> {
        self.guards_paths.then(|| Readings::of(request)).flatten()
    }

    /// Returns the edits of a response without a rule, and adds them to `request`: those of the matching rules
    /// without an action. With a malformed target (`is_read` is false) rules with conditions on it are skipped.
    pub fn edits_without_rules(
        &self,
        request: &mut Request,
        is_read: bool,
        inputs: &mut Inputs<'_>,
    ) -> Option<Arc<Edits>> {
        for (number, rule) in self.rules.iter().enumerate() {
            let step = &rule.then;
            if step.handler.is_some() || step.internal {
                continue;
            }
            if !is_read && rule.conditions().asks_for_target() {
                continue;
            }
            // The request is refused already, so a pattern over its limit is ignored.
            let Ok(Some(captures)) = rule.matches(request, inputs.disk) else {
                continue;
            };
            let (id, captures) = (RuleId::of_site(number), &captures);
            let scope = Scope::new(request, captures);
            // So is a rule whose guards refuse the request, or ask for a fact.
            if let Ok(Some(edits)) = step.modifiers.apply(id, &scope, inputs) {
                request.add_edits(edits);
            }
        }
        request.edits.clone()
    }
}

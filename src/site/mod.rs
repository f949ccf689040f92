//! What serves requests: the sites, which of them answers a host on a listener, and the snapshot that holds all of
//! them. `config` builds it; nothing here reads a file of the configuration.

pub mod hosts;
pub mod listener;
pub mod live;
pub mod numbers;
pub mod settings;
pub mod sharing;
pub mod snapshot;
pub mod watched;

use std::sync::Arc;

pub use listener::{ListenAddress, Listener};
pub use live::Live;
pub use settings::{AdminAddress, AdminSettings, ServerSettings};
pub use snapshot::Snapshot;

use crate::auth::Access;
use crate::filter::compress::Compress;
use crate::filter::error_page::ErrorPages;
use crate::handler::https::Https;
use crate::limits::budget::SiteKey;
use crate::limits::rate::RateLimiter;
use crate::message::edits::{Edits, RuleId};
use crate::message::fact::Facts;
use crate::message::{Disk, EncodedSlash, Request};
use crate::modifier::Step;
use crate::modifier::readings::Readings;
use crate::route::{Rules, Scope};
use crate::section::At;
use numbers::SiteNumbers;

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
    pub clients: Option<RateLimiter>,
    /// What was answered for it.
    pub numbers: Arc<SiteNumbers>,
    /// What stands in place of errors.
    pub error_pages: ErrorPages,
    /// In order; the first that matches and does not decline answers.
    pub rules: Rules<Step>,
    /// Whether one of them guards paths: it is held against all [`Readings`].
    pub(crate) guards_paths: bool,
}

impl Site {
    /// Returns the other readings of a new request, where a rule guards paths and there are any.
    pub fn readings(&self, request: &Request) -> Option<Box<Readings>> {
        self.guards_paths.then(|| Readings::of(request)).flatten()
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
            if step.handler.is_some() || step.internal {
                continue;
            }
            if !is_read && rule.conditions().asks_for_target() {
                continue;
            }
            // A pattern that took too long changes nothing about what was refused already.
            let Ok(Some(captures)) = rule.matches(request, disk) else {
                continue;
            };
            let (id, captures) = (RuleId::of_site(number), &captures);
            let scope = Scope { request, captures };
            // Nor does a rule that would let nobody see what it changes.
            if let Ok(Some(edits)) = step.modifiers.apply(id, &scope, &Facts::default()) {
                request.add_edits(edits);
            }
        }
        request.edits.clone()
    }
}

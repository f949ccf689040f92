//! The bounds of a call: the largest request body and the times of the script. Precedence: the action itself,
//! then `limits` and `timeouts` of the last rule on the way, then the site and the upstream.

use std::sync::Arc;
use std::time::Duration;

use super::{CallTimeouts, Fastcgi};
use crate::message::edits::Edits;
use crate::value::TimeLimit;

/// Bounds that an action sets itself: the name of each, as `limits.body`, and its place, as `file:line`.
#[derive(Clone, Debug, Default)]
pub struct OwnBounds(Vec<(&'static str, Arc<str>)>);

impl OwnBounds {
    /// The name of the bound on bodies.
    pub const BODY: &str = "limits.body";

    /// Iterates over the names and the places.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, place)| (*name, &**place))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| *own == name)
    }
}

impl Fastcgi {
    /// Limits request bodies to `bytes`; `place` is the line of the configuration.
    pub fn set_body_limit(&mut self, bytes: u64, place: Arc<str>) {
        self.spool.limit = bytes;
        self.own.0.push((OwnBounds::BODY, place));
    }

    /// Sets one of the time limits, by its name.
    pub fn set_time(&mut self, limit: TimeLimit) {
        let mut all = Arc::make_mut(&mut self.timeouts).all().into_iter();
        if let Some(known) = all.find(|known| known.name == limit.name) {
            self.own.0.push((limit.name, Arc::clone(&limit.place)));
            *known = limit;
        }
    }

    /// Limits the silence of the script, before its answer and in it; `place` is the line of the configuration.
    pub fn set_silence(&mut self, duration: Duration, place: &Arc<str>) {
        for name in [self.timeouts.first_byte.name, self.timeouts.idle.name] {
            let place = Arc::clone(place);
            self.set_time(TimeLimit {
                name,
                duration,
                place,
            });
        }
    }

    /// Returns the largest body of a request with these edits, in bytes.
    pub fn body_limit(&self, edits: Option<&Edits>) -> u64 {
        let bounded = edits.filter(|_| !self.own.has(OwnBounds::BODY));
        let of_rules = bounded.and_then(Edits::body_limit);
        of_rules.unwrap_or(self.spool.limit)
    }

    /// Returns the time limits of a call for a request with these edits.
    pub fn call_timeouts(&self, edits: Option<&Edits>) -> Arc<CallTimeouts> {
        let mut limits = Arc::clone(&self.timeouts);
        let of_rules = edits.into_iter().flat_map(Edits::timeouts);
        for limit in of_rules.filter(|limit| !self.own.has(limit.name)) {
            let known = Arc::make_mut(&mut limits).all();
            if let Some(known) = known.into_iter().find(|known| known.name == limit.name) {
                *known = limit.clone();
            }
        }
        limits
    }
}

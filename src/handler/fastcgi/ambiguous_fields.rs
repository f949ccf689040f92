//! Header fields that PHP is not told, as their names could be passed for others: each name stands
//! once in the log, and all are counted.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderName;

/// Names that are remembered; a client can think of any number.
const NAMES: usize = 64;

/// Those of one site.
#[derive(Debug)]
pub struct AmbiguousFields {
    site: Arc<str>,
    dropped: AtomicU64,
    named: Mutex<HashSet<HeaderName>>,
}

impl AmbiguousFields {
    /// None yet.
    pub fn new(site: Arc<str>) -> Self {
        Self {
            site,
            dropped: AtomicU64::new(0),
            named: Mutex::default(),
        }
    }

    /// How many fields were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// One was dropped.
    pub(super) fn note(&self, name: &HeaderName) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        // A poisoned lock guards a set that is whole at every moment.
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < NAMES && named.insert(name.clone()) {
            let last = named.len() == NAMES;
            drop(named);
            tracing::warn!(site = &*self.site, field = %name, "a header field was not told to PHP, as its name could be passed for another; site.pass_fields lets it through");
            if last {
                tracing::warn!(site = &*self.site, "further such names are only counted");
            }
        }
    }

    /// Tells the log how many there were, once.
    pub(super) fn close(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::info!(
                site = &*self.site,
                dropped,
                "header fields were not told to PHP, as their names could be passed for others"
            );
        }
    }
}

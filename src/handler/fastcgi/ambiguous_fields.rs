//! Header fields that are not exported, because their variable could be taken for that of another field: each
//! name is logged once, and all are counted.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderName;

/// Limit on remembered names; a client can invent any number.
const NAMES: usize = 64;

/// Ambiguous fields of one site.
#[derive(Debug)]
pub struct AmbiguousFields {
    site: Arc<str>,
    dropped: AtomicU64,
    named: Mutex<HashSet<HeaderName>>,
}

impl AmbiguousFields {
    /// Creates an empty set.
    pub fn new(site: Arc<str>) -> Self {
        Self {
            site,
            dropped: AtomicU64::new(0),
            named: Mutex::default(),
        }
    }

    /// Returns the number of dropped fields.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts a dropped field, and logs its name at the first time.
    pub(super) fn record(&self, name: &HeaderName) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        // A poisoned lock guards a set that is consistent at every moment.
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < NAMES && named.insert(name.clone()) {
            let last = named.len() == NAMES;
            drop(named);
            tracing::warn!(site = &*self.site, field = %name, "header field not passed to PHP: its variable could be taken for that of another field; site.pass_fields lets it through");
            if last {
                tracing::warn!(
                    site = &*self.site,
                    "more than {NAMES} such names: further ones are only counted"
                );
            }
        }
    }

    /// Logs the count of dropped fields, once.
    pub(super) fn close(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::info!(
                site = &*self.site,
                dropped,
                "header fields not passed to PHP: their variables could be taken for those of other fields"
            );
        }
    }
}

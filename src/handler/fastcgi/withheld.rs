//! Header fields that scripts do not get for the sake of their names: counted, and each name told
//! once, so that who misses one finds out why.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderName;

use crate::cgi::Passing;
use crate::message::Request;

/// So many names are told; a client can invent any number.
const NAMES: usize = 32;

/// A longer name is cut to that in the log.
const SHOWN: usize = 80;

/// What a site has withheld.
#[derive(Debug)]
pub struct Withheld {
    site: Arc<str>,
    told: Mutex<HashSet<HeaderName>>,
    count: AtomicU64,
}

impl Withheld {
    /// Nothing yet.
    pub fn new(site: Arc<str>) -> Self {
        Self {
            site,
            told: Mutex::default(),
            count: AtomicU64::new(0),
        }
    }

    /// Looks through the fields of a request that goes to a script.
    pub(super) fn note(&self, request: &Request, passing: &Passing) {
        let fields = request.fields.keys();
        for name in fields.filter(|name| passing.is_ambiguous(name)) {
            self.count.fetch_add(1, Ordering::Relaxed);
            if self.is_new(name) {
                let shown: String = name.as_str().chars().take(SHOWN).collect();
                tracing::warn!(request_id = %request.id, site = %self.site, field = shown, "the header field is withheld from scripts, as its name could pass for another's; `pass_fields` of the site's `cgi` lets one with underscores through");
            }
        }
    }

    /// Whether it is to be told.
    fn is_new(&self, name: &HeaderName) -> bool {
        // A poisoned lock guards a set that is right at every moment.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < NAMES && told.insert(name.clone())
    }

    /// Tells how many there were; again only if there are more.
    pub(super) fn close(&self) {
        let count = self.count.swap(0, Ordering::Relaxed);
        if count > 0 {
            tracing::info!(site = %self.site, count, "header fields were withheld from scripts for their names");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_told_once_and_not_without_end() {
        let withheld = Withheld::new("a".into());
        let name = |number: usize| HeaderName::try_from(format!("x_{number}")).unwrap();
        assert!(withheld.is_new(&name(0)));
        assert!(!withheld.is_new(&name(0)));
        let told = (1..1000).filter(|number| withheld.is_new(&name(*number)));
        assert_eq!(told.count(), NAMES - 1);
    }
}

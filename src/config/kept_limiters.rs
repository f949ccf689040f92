//! Limiters of the previous configuration: a reload continues the counts of those that it does not change.

use std::collections::HashMap;

use crate::limits::rate::RateLimiter;
use crate::route::condition::Set;
use crate::site::Site;

/// The limiters of a site in the previous configuration.
#[derive(Debug, Default)]
pub(super) struct KeptLimiters {
    site: Option<RateLimiter>,
    /// Those of rules by their conditions, in order. A rule has no name, and its line and its number change with those
    /// before it.
    rules: HashMap<String, Vec<RateLimiter>>,
}

impl KeptLimiters {
    /// Collects the limiters of a site.
    pub(super) fn of(site: Option<&Site>) -> Self {
        let Some(site) = site else {
            return Self::default();
        };
        let mut rules: HashMap<_, Vec<_>> = HashMap::new();
        for rule in site.rules.iter() {
            if let Some(limiter) = rule.then.modifiers.limiter() {
                let conditions = rule.conditions().to_string();
                rules.entry(conditions).or_default().push(limiter.clone());
            }
        }
        Self {
            site: site.limiter.clone(),
            rules,
        }
    }

    /// Continues the counts of the site, if its limit is the same.
    pub(super) fn continue_site(&self, limiter: &mut RateLimiter) {
        let previous = self.site.as_ref();
        if let Some(previous) = previous.filter(|it| it.limit().counts_as(limiter.limit())) {
            limiter.continue_counts(previous);
        }
    }

    /// Continues the counts of the first rule with the same conditions and the same limit.
    pub(super) fn continue_rule(&mut self, conditions: &Set, limiter: &mut RateLimiter) {
        let Some(alike) = self.rules.get_mut(&conditions.to_string()) else {
            return;
        };
        let mut limits = alike.iter().map(RateLimiter::limit);
        if let Some(index) = limits.position(|limit| limit.counts_as(limiter.limit())) {
            limiter.continue_counts(&alike.remove(index));
        }
    }
}

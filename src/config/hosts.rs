//! Which site answers for a host: its exact name, the longest wildcard above it, or the default.

use std::sync::Arc;

use super::Site;
use crate::message::ByHost;
use crate::route::condition::HostPattern;
use crate::section::{Lowered, Problem, Problems};

/// The sites by the hosts that they answer for.
#[derive(Debug)]
pub(super) struct Hosts {
    named: ByHost<Arc<Site>>,
    default: Arc<Site>,
    each: Vec<Arc<Site>>,
}

impl Hosts {
    /// The site without hosts is the default; where all have some, it is the first in the file, as
    /// in Apache and nginx.
    pub(super) fn build(sites: Vec<(Site, &Lowered)>, problems: &mut Problems) -> Option<Self> {
        let mut named = ByHost::default();
        let mut default: Option<Arc<Site>> = None;
        let mut each = Vec::with_capacity(sites.len());
        for (site, section) in sites {
            let (site, hosts) = (Arc::new(site), section.texts("hosts"));
            each.push(Arc::clone(&site));
            // Hosts that were not understood are hosts all the same.
            let is_default = hosts.is_empty() && !section.is_wrong("hosts");
            if is_default && default.replace(Arc::clone(&site)).is_some() {
                problems.push(Problem::new(
                    section.place(),
                    "two sites have no `hosts`: only one can answer for every other host",
                ));
            }
            for text in hosts {
                let site = Arc::clone(&site);
                let taken = match HostPattern::parse(&text, problems) {
                    Some(HostPattern::Exact(name)) => named.insert(name, site),
                    Some(HostPattern::Below(suffix)) => named.insert_below(suffix, site),
                    None => None,
                };
                if taken.is_some() {
                    let message = format!("two sites answer for `{}`", text.value);
                    problems.push(Problem::new(text.place, message));
                }
            }
        }
        Some(Self {
            named,
            default: default.or_else(|| each.first().cloned())?,
            each,
        })
    }

    /// All sites, each once.
    pub(super) fn each(&self) -> &[Arc<Site>] {
        &self.each
    }

    /// The site of a lower-cased name.
    pub(super) fn site(&self, name: &str) -> &Arc<Site> {
        self.named.get(name).unwrap_or(&self.default)
    }
}

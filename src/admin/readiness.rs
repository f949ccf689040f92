//! Readiness: whether requests can be served. A process that answers here listens, with a valid configuration in force; it
//! is ready unless it drains or no site can be served. One dead upstream of several is a warning: a load balancer that
//! took the gateway out for it would take all its sites out.

mod probe;
mod query;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) use probe::Probes;
pub(super) use query::Subject;

use super::Admin;
use crate::site::{Site, Snapshot};
use crate::upstream::Upstream;
use verdict::is_any_served;

/// Names listed for an unknown one.
const MOST_NAMES: usize = 50;

/// State of the gateway, of an upstream or of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Readiness {
    /// The reasons not to be ready; none if it is.
    pub(super) reasons: Vec<String>,
    /// Dead upstreams in spite of which it is ready.
    pub(super) warnings: Vec<String>,
}

/// State of the gateway, with each upstream and site.
#[derive(Debug)]
pub(super) struct Overview {
    is_draining: bool,
    /// The upstreams without a server that accepts connections, each with the errors.
    dead: BTreeMap<String, String>,
}

impl Readiness {
    /// Returns the readiness as far as no upstream decides.
    fn without_upstreams(is_draining: bool) -> Self {
        let reason = is_draining.then(|| "the server is stopping".to_owned());
        Self {
            reasons: reason.into_iter().collect(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}

impl Admin {
    /// Returns the readiness of `subject`; the error lists the known names if there is none of this name.
    pub(super) async fn readiness(&self, subject: &Subject) -> Result<Readiness, String> {
        if self.state.is_draining() {
            // At once: no upstream has to be asked for that.
            return Ok(Readiness::without_upstreams(true));
        }
        let snapshot = self.live.current();
        match subject {
            Subject::Gateway => {
                let overview = self.overview(&snapshot).await;
                Ok(overview.readiness(snapshot.sites()))
            }
            Subject::Upstream(name) => {
                let Some(upstream) = snapshot.upstream(name) else {
                    let upstreams = snapshot.upstreams();
                    let known = upstreams.iter().map(|upstream| upstream.name.as_str());
                    return Err(unknown("upstream", name, known));
                };
                let overview = self.overview_of(vec![upstream], &snapshot).await;
                Ok(overview.readiness_of_upstream(name))
            }
            Subject::Site(name) => {
                let sites = snapshot.sites_named(name);
                if sites.is_empty() {
                    let known = snapshot.sites().map(|site| &*site.name);
                    return Err(unknown("site", name, known));
                }
                let overview = self.overview_of(needed(&sites, &snapshot), &snapshot).await;
                Ok(overview.readiness(sites))
            }
        }
    }

    /// Returns the state of all upstreams and sites.
    pub(super) async fn overview(&self, snapshot: &Snapshot) -> Overview {
        self.overview_of(snapshot.upstreams(), snapshot).await
    }

    async fn overview_of(&self, upstreams: Vec<Arc<Upstream>>, snapshot: &Snapshot) -> Overview {
        Overview {
            is_draining: self.state.is_draining(),
            dead: self
                .probes
                .find_dead(upstreams, snapshot, &self.reserve)
                .await,
        }
    }
}

impl Overview {
    /// Returns the readiness to serve one of `sites`.
    pub(super) fn readiness<'a>(
        &self,
        sites: impl IntoIterator<Item = &'a Arc<Site>>,
    ) -> Readiness {
        let mut readiness = Readiness::without_upstreams(self.is_draining);
        let dead = self.dead.iter();
        let lines = dead.map(|(name, errors)| describe(name, errors));
        if self.serves_any(sites) {
            readiness.warnings.extend(lines);
        } else {
            readiness.reasons.extend(lines);
        }
        readiness
    }

    /// Reports whether one of `sites` can be served.
    pub(super) fn serves_any<'a>(&self, sites: impl IntoIterator<Item = &'a Arc<Site>>) -> bool {
        let needs = sites.into_iter().map(|site| &site.needs);
        is_any_served(needs, |name| self.dead.contains_key(name))
    }

    /// Returns the errors of an upstream without a server that accepts connections.
    pub(super) fn errors_of(&self, upstream: &str) -> Option<&str> {
        self.dead.get(upstream).map(String::as_str)
    }

    fn readiness_of_upstream(&self, name: &str) -> Readiness {
        let mut readiness = Readiness::without_upstreams(self.is_draining);
        let errors = self.errors_of(name).map(|errors| describe(name, errors));
        readiness.reasons.extend(errors);
        readiness
    }
}

fn describe(upstream: &str, errors: &str) -> String {
    format!("upstream {upstream}: {errors}")
}

/// Returns the upstreams that `sites` need.
fn needed(sites: &[&Arc<Site>], snapshot: &Snapshot) -> Vec<Arc<Upstream>> {
    let mut names: Vec<_> = sites
        .iter()
        .flat_map(|site| &site.needs.upstreams)
        .collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| snapshot.upstream(name))
        .collect()
}

fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<_> = known.collect();
    known.sort_unstable();
    let left_out = known.len().saturating_sub(MOST_NAMES);
    known.truncate(MOST_NAMES);
    let more = if left_out > 0 {
        format!(" and {left_out} more")
    } else {
        String::new()
    };
    format!(
        "unknown {kind} `{}`; known: {}{more}",
        name.escape_debug(),
        known.join(", ")
    )
}

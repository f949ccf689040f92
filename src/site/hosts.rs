//! Which site answers: of those of a listener the one with the host's exact name, the longest wildcard above it, or the
//! default.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Site;
use crate::message::ByHost;
use crate::route::condition::HostPattern;
use crate::section::{At, Key, Lowered, Place, Problem, Problems};

/// The hosts of a site.
pub(crate) static HOSTS: Key<Vec<At<String>>> = Key::texts("hosts", "The hosts that the site answers for: \"example.org\", or \"*.example.org\" for every name below it. A site without answers for all others; where none is without, that is the first.").example("[\"example.org\", \"*.example.org\"]");

/// The listeners of a site.
pub(crate) static LISTEN: Key<Vec<At<String>>> = Key::texts("listen", "The names of the listeners that the site answers on, as `<VirtualHost *:8080>` is for one port; a listener that is named so has these sites alone. Sites without `listen` answer on all other listeners. In logs and metrics the site is called by its host and these names: `example.org@admin`.").example("[\"admin\"]");

/// The sites by the listeners and the hosts that they answer for.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// Those of each listener that a site names: as with `<VirtualHost *:8080>` they are all of its sites.
    of_listener: HashMap<Arc<str>, Sites>,
    /// Those of all other listeners.
    others: Sites,
    /// The names that listeners have.
    listeners: HashSet<String>,
    each: Vec<Arc<Site>>,
}

/// The sites of a listener.
#[derive(Debug, Default)]
struct Sites {
    named: ByHost<Arc<Site>>,
    without_hosts: Option<Arc<Site>>,
    first: Option<Arc<Site>>,
}

impl Hosts {
    /// Each site goes to the listeners that its `listen` names, or to those that no site names. `listeners` are the
    /// names that these have.
    pub(crate) fn build(
        sites: Vec<(Site, &Lowered)>,
        listeners: HashSet<String>,
        problems: &mut Problems,
    ) -> Self {
        let mut hosts = Self {
            of_listener: HashMap::new(),
            others: Sites::default(),
            listeners,
            each: Vec::with_capacity(sites.len()),
        };
        for (site, section) in sites {
            let site = Arc::new(site);
            let (place, texts) = (section.place(), section.get(&HOSTS));
            // Hosts that were not understood are hosts all the same.
            let is_default = texts.is_empty() && !section.is_wrong(&HOSTS);
            let default = is_default.then_some(&place);
            let patterns = texts.into_iter();
            let patterns =
                patterns.filter_map(|text| Some((HostPattern::parse(&text, problems)?, text)));
            let own: Vec<_> = patterns.collect();
            for name in section.get(&LISTEN) {
                let sites = hosts.of_listener.entry(name.value.into()).or_default();
                sites.add(&site, &own, default, problems);
            }
            if !section.is_given(&LISTEN) {
                hosts.others.add(&site, &own, default, problems);
            }
            hosts.each.push(site);
        }
        hosts
    }

    /// Whether any site answers on a listener.
    pub(crate) fn has_sites(&self, listener: &str) -> bool {
        self.of(listener).is_some_and(|sites| sites.first.is_some())
    }

    /// All sites, each once.
    pub(crate) fn each(&self) -> &[Arc<Site>] {
        &self.each
    }

    /// The site of a lower-cased name on a listener; `None` where that has no sites, or where no listener has this name
    /// any more: the connection is from before a reload, and what is for all other listeners was never for this one.
    pub(crate) fn site(&self, listener: &str, name: &str) -> Option<&Arc<Site>> {
        let sites = self.of(listener)?;
        sites.named.get(name).or_else(|| sites.fallback())
    }

    /// The sites of a listener; one without a name has an empty one.
    fn of(&self, listener: &str) -> Option<&Sites> {
        let own = self.of_listener.get(listener);
        own.or_else(|| self.is_known(listener).then_some(&self.others))
    }

    fn is_known(&self, listener: &str) -> bool {
        listener.is_empty() || self.listeners.contains(listener)
    }
}

impl Sites {
    fn add(
        &mut self,
        site: &Arc<Site>,
        hosts: &[(HostPattern, At<String>)],
        default: Option<&Place>,
        problems: &mut Problems,
    ) {
        self.first.get_or_insert_with(|| Arc::clone(site));
        if let Some(place) = default
            && self.without_hosts.replace(Arc::clone(site)).is_some()
        {
            problems.push(Problem::new(
                place.clone(),
                "two sites have no `hosts`: only one can answer for every other host of a listener",
            ));
        }
        for (pattern, text) in hosts {
            let site = Arc::clone(site);
            let taken = match pattern.clone() {
                HostPattern::Exact(name) => self.named.insert(name, site),
                HostPattern::Below(suffix) => self.named.insert_below(suffix, site),
            };
            if taken.is_some() {
                let message = format!("two sites answer for `{}`", text.value);
                problems.push(Problem::new(text.place.clone(), message));
            }
        }
    }

    /// The site without hosts; where all have some, the first in the file, as in Apache and nginx.
    fn fallback(&self) -> Option<&Arc<Site>> {
        self.without_hosts.as_ref().or(self.first.as_ref())
    }
}

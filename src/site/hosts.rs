//! The choice of the site by host: of the sites of a listener the one with the exact name, the longest wildcard, or
//! the default.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Site;
use crate::message::ByHost;
use crate::route::condition::HostPattern;
use crate::section::{At, Key, Lowered, Place, Problem, Problems};

/// The hosts of a site.
pub(crate) static HOSTS: Key<Vec<At<String>>> = Key::texts("hosts", "Hosts of the site: \"example.org\", or \"*.example.org\" for every name below it. A site without `hosts` serves all other hosts; if there is none, the first site does.").example("[\"example.org\", \"*.example.org\"]");

/// The listeners of a site.
pub(crate) static LISTEN: Key<Vec<At<String>>> = Key::texts("listen", "Names of the listeners of the site, as `<VirtualHost *:8080>` has one port; a listener that a site names so serves only the sites that name it. Sites without `listen` are served on all other listeners. Logs and metrics name the site by its host and these names: `example.org@admin`.").example("[\"admin\"]");

/// The sites by listener and host.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// The sites of each listener that a site names: as with `<VirtualHost *:8080>` it has no others.
    of_listener: HashMap<Arc<str>, Sites>,
    /// The sites of all other listeners.
    others: Sites,
    /// The names of the listeners.
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
    /// Adds each site to the listeners that its `listen` names, or to those that no site names. `listeners` are the names
    /// of all listeners.
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
            // A site with malformed hosts is no default either.
            let is_default = texts.is_empty() && !section.is_wrong(&HOSTS);
            let default = is_default.then_some(&place);
            let own: Vec<_> = texts
                .into_iter()
                .filter_map(|text| Some((HostPattern::parse(&text, problems)?, text)))
                .collect();
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

    /// Reports whether a listener has sites.
    pub(crate) fn has_sites(&self, listener: &str) -> bool {
        self.of(listener).is_some_and(|sites| sites.first.is_some())
    }

    /// Returns all sites, without duplicates.
    pub(crate) fn each(&self) -> &[Arc<Site>] {
        &self.each
    }

    /// Returns the site of a lower-case name on a listener; `None` if the listener has no sites, or if no listener has
    /// this name any more: the connection is older than a reload, and the sites of all other listeners were never those
    /// of this one.
    pub(crate) fn site(&self, listener: &str, name: &str) -> Option<&Arc<Site>> {
        let sites = self.of(listener)?;
        sites.named.get(name).or_else(|| sites.fallback())
    }

    /// Returns the sites of a lower-case name on all listeners, without duplicates; if none has it, the sites without
    /// hosts.
    pub(crate) fn of_host(&self, name: &str) -> Vec<&Arc<Site>> {
        let of_each = || self.of_listener.values().chain([&self.others]);
        let mut sites: Vec<_> = of_each().filter_map(|it| it.named.get(name)).collect();
        if sites.is_empty() {
            sites = of_each()
                .filter_map(|it| it.without_hosts.as_ref())
                .collect();
        }
        sites.sort_by(|one, other| one.name.cmp(&other.name));
        sites.dedup_by(|one, other| Arc::ptr_eq(one, other));
        sites
    }

    /// Returns the sites of a listener; the name of an unnamed one is empty.
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
                "two sites have no `hosts`: only one can serve all other hosts of a listener",
            ));
        }
        for (pattern, text) in hosts {
            let site = Arc::clone(site);
            let taken = match pattern.clone() {
                HostPattern::Exact(name) => self.named.insert(name, site),
                HostPattern::Below(suffix) => self.named.insert_below(suffix, site),
            };
            if taken.is_some() {
                let message = format!("two sites serve `{}`", text.value);
                problems.push(Problem::new(text.place.clone(), message));
            }
        }
    }

    /// Returns the site without hosts; if all have some, the first in the file, as in Apache and nginx.
    fn fallback(&self) -> Option<&Arc<Site>> {
        self.without_hosts.as_ref().or(self.first.as_ref())
    }
}

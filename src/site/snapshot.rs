//! Immutable state built from the configuration: a reload builds another.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::hosts::Hosts;
use super::logs::SnapshotLogs;
use super::sharing::sharing;
use super::{AdminSettings, Listener, ServerSettings, Site};
use crate::auth::Authentication;
use crate::failure::Failure;
use crate::files::watched::WatchedFiles;
use crate::handler::Handler;
use crate::handler::fastcgi::ErrorLog;
use crate::limits::budget::Budgets;
use crate::limits::per_client::PerClient;
use crate::message::{Host, Target};
use crate::process::Program;
use crate::section::{Lowered, Problems};
use crate::tls::{Certificates, PemError};
use crate::upstream::section::{CAPACITY, SERVERS};
use crate::upstream::{Address, Upstream};

/// A valid configuration, ready to serve.
#[derive(Debug)]
pub struct Snapshot {
    /// Settings of `[server]`.
    pub server: ServerSettings,
    /// Settings of `[admin]`.
    pub admin: AdminSettings,
    /// The files that it was read from.
    pub watched: WatchedFiles,
    /// The sections of all files, for the differences at a reload.
    pub(crate) files: Vec<Lowered>,
    /// The listeners of `[[listen]]`, at least one.
    pub listeners: Vec<Listener>,
    /// The programs of `[process.NAME]`.
    pub processes: Vec<Program>,
    /// The logs.
    pub logs: SnapshotLogs,
    /// Warnings as text; empty without any.
    pub warnings: String,
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) hosts: Hosts,
    pub(crate) upstreams: Upstreams,
    /// Budgets shared by all requests.
    pub budgets: Budgets,
    /// State of authentication, carried over by reloads.
    pub authentication: Authentication,
    pub(crate) live_streams: Arc<PerClient>,
    pub(crate) streamed_uploads: Arc<PerClient>,
    pub(crate) error_log: Arc<ErrorLog>,
}

/// Upstreams by name, each with its section, for the comparison at a reload.
pub(crate) type Upstreams = HashMap<String, (Arc<Lowered>, Arc<Upstream>)>;

impl Snapshot {
    /// Applies the limits of this snapshot to all state that outlives a snapshot.
    pub(super) fn take_effect(&self) {
        self.budgets.set_totals(&self.server.shared);
        self.authentication.verifier.set(self.server.hashing);
        self.live_streams
            .set_most(self.server.limits.live_streams_per_client);
        // Excessive shares were reported by the build.
        let mut shared = sharing(self.sites(), &mut Problems::default());
        for (_, upstream) in self.upstreams.values() {
            let sharing = shared.remove(upstream.name.as_str());
            upstream.take_effect(sharing.unwrap_or_default());
        }
    }

    /// Returns the addresses of an upstream's servers as configured: host names are not resolved.
    pub fn servers(&self, upstream: &Upstream) -> Vec<Address> {
        let known = self.upstreams.get(&upstream.name);
        let servers = known.map_or_else(Vec::new, |(section, _)| section.get(&SERVERS));
        let texts = servers.into_iter().map(|text| text.value);
        // The name of an upstream without a section is its address.
        let named: Vec<_> = texts
            .chain(known.is_some().then(|| upstream.name.clone()))
            .collect();
        named
            .iter()
            .filter_map(|text| Address::parse(text).ok())
            .collect()
    }

    /// Returns `capacity` of an upstream, the limit of connections to each of its servers; 0 is no limit.
    pub fn capacity(&self, upstream: &Upstream) -> usize {
        let known = self.upstreams.get(&upstream.name);
        known.map_or(0, |(section, _)| section.get(&CAPACITY))
    }

    /// Logs the counters of each server.
    pub fn log_numbers(&self) {
        for (_, upstream) in self.upstreams.values() {
            upstream.log_numbers();
        }
    }

    /// Logs all counters and suppressed lines at the end of the snapshot.
    pub fn close(&self) {
        self.log_numbers();
        let rules = self.sites().flat_map(|site| site.rules.iter());
        let handlers = rules.filter_map(|rule| rule.then.handler.as_ref());
        handlers.for_each(Handler::close);
        self.error_log.close();
    }

    /// Returns all upstreams, with those named by an address alone, in the order of their names.
    pub fn upstreams(&self) -> Vec<Arc<Upstream>> {
        let mut upstreams: Vec<_> = self
            .upstreams
            .values()
            .map(|(_, it)| Arc::clone(it))
            .collect();
        upstreams.sort_by(|one, other| one.name.cmp(&other.name));
        upstreams
    }

    /// Returns the upstream of this name.
    pub fn upstream(&self, name: &str) -> Option<Arc<Upstream>> {
        let (_, upstream) = self.upstreams.get(name)?;
        Some(Arc::clone(upstream))
    }

    /// Returns the site of this name, or else those that serve the host on any listener.
    pub fn sites_named(&self, name: &str) -> Vec<&Arc<Site>> {
        let site = self.sites().find(|site| *site.name == *name);
        let host = Host::parse(name);
        match (site, host) {
            (Some(site), _) => vec![site],
            (None, Ok(host)) => self.hosts.of_host(host.name()),
            (None, Err(_)) => Vec::new(),
        }
    }

    /// Returns all sites, without duplicates.
    pub fn sites(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.hosts.each().iter()
    }

    pub(crate) fn upstream_sections(&self) -> Vec<(String, &Lowered)> {
        let upstreams = self.upstreams.iter();
        let mut sections: Vec<_> = upstreams
            .map(|(name, (section, _))| (name.clone(), &**section))
            .collect();
        sections.sort_by(|one, other| one.0.cmp(&other.0));
        sections
    }

    /// Returns the site of a host on a listener: the one with the exact name, the longest wildcard, or the
    /// default.
    pub fn site(&self, host: &Host, listener: &str) -> Result<&Arc<Site>, Failure> {
        let site = self.hosts.site(listener, host.name());
        site.ok_or(Failure::NoSite)
    }

    /// Parses the request target by the settings of `site`.
    pub fn target(&self, raw: &str, site: &Site) -> Result<Target, Failure> {
        let target = Target::parse(raw, site.encoded_slash)?;
        let (length, limit) = (target.path().len(), self.server.limits.path);
        if length > limit {
            return Err(Failure::PathTooLong { length, limit });
        }
        Ok(target)
    }

    /// Returns the certificates, if there are any.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_deref()
    }

    /// Reads again the certificates and authorities whose files have changed. Returns the replaced ones, and
    /// an error for each that cannot be used. Open connections are not affected. Blocks.
    pub fn refresh_certificates(&self) -> Vec<Result<PathBuf, PemError>> {
        let certificates = self.certificates.iter().flat_map(|all| all.refresh());
        let acceptors = self
            .listeners
            .iter()
            .filter_map(|listener| listener.tls.as_ref());
        certificates
            .chain(acceptors.filter_map(|acceptor| acceptor.refresh()))
            .collect()
    }
}

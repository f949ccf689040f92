//! Everything that serves requests, built once from the files and never changed: a reload builds
//! another.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::hosts::Hosts;
use super::sharing::sharing;
use super::watched::Watched;
use super::{AdminSettings, Listener, ServerSettings, Site};
use crate::failure::Failure;
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

/// A configuration that can serve, by construction.
#[derive(Debug)]
pub struct Snapshot {
    /// `[server]`.
    pub server: ServerSettings,
    /// `[admin]`.
    pub admin: AdminSettings,
    /// What it was read from.
    pub watched: Watched,
    /// The sections of all files, to tell what a reload changes.
    pub(crate) files: Vec<Lowered>,
    /// `[[listen]]`, at least one.
    pub listeners: Vec<Listener>,
    /// `[process.NAME]`.
    pub processes: Vec<Program>,
    /// What should be changed and need not be, rendered for people; empty where there is nothing.
    pub warnings: String,
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) hosts: Hosts,
    pub(crate) upstreams: Upstreams,
    /// What all requests share.
    pub budgets: Budgets,
    pub(crate) live_streams: Arc<PerClient>,
    pub(crate) streamed_uploads: Arc<PerClient>,
    pub(crate) error_log: Arc<ErrorLog>,
}

/// Upstreams by name, with the section that made each, to tell whether it changed.
pub(crate) type Upstreams = HashMap<String, (Arc<Lowered>, Arc<Upstream>)>;

impl Snapshot {
    /// What outlives a snapshot and is bounded by it, from now on by this one.
    pub(super) fn take_effect(&self) {
        self.budgets.set_totals(&self.server.shared);
        self.live_streams
            .set_most(self.server.limits.live_streams_per_client);
        // What is too much was told when it was built.
        let mut shared = sharing(self.sites(), &mut Problems::default());
        for (_, upstream) in self.upstreams.values() {
            let sharing = shared.remove(upstream.name.as_str());
            upstream.take_effect(sharing.unwrap_or_default());
        }
    }

    /// Where the servers of an upstream listen, as the configuration says it: names are names.
    pub fn servers(&self, upstream: &Upstream) -> Vec<Address> {
        let known = self.upstreams.get(&upstream.name);
        let servers = known.map_or_else(Vec::new, |(section, _)| section.get(&SERVERS));
        let servers = servers.into_iter().map(|text| text.value);
        // One that only an address names has that for its name.
        let named: Vec<_> = servers
            .chain(known.is_some().then(|| upstream.name.clone()))
            .collect();
        named
            .iter()
            .filter_map(|text| Address::parse(text).ok())
            .collect()
    }

    /// Returns `capacity` of an upstream, which bounds the connections to each of its servers; 0 is no
    /// bound.
    pub fn capacity(&self, upstream: &Upstream) -> usize {
        let known = self.upstreams.get(&upstream.name);
        known.map_or(0, |(section, _)| section.get(&CAPACITY))
    }

    /// Tells the log what each server did so far.
    pub fn log_numbers(&self) {
        for (_, upstream) in self.upstreams.values() {
            upstream.log_numbers();
        }
    }

    /// Tells the log what was only counted so far; for the end.
    pub fn close(&self) {
        self.log_numbers();
        let rules = self.sites().flat_map(|site| site.rules.iter());
        let handlers = rules.filter_map(|rule| rule.then.handler.as_ref());
        handlers.for_each(Handler::close);
        self.error_log.close();
    }

    /// All upstreams, those that only an address names too, in the order of their names.
    pub fn upstreams(&self) -> Vec<Arc<Upstream>> {
        let mut upstreams: Vec<_> = self
            .upstreams
            .values()
            .map(|(_, it)| Arc::clone(it))
            .collect();
        upstreams.sort_by(|one, other| one.name.cmp(&other.name));
        upstreams
    }

    /// All sites, each once.
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

    /// The site that answers for a host on a listener: its exact name, the longest wildcard above it, or the
    /// default.
    pub fn site(&self, host: &Host, listener: &str) -> Result<&Arc<Site>, Failure> {
        let site = self.hosts.site(listener, host.name());
        site.ok_or(Failure::NoSite)
    }

    /// The target of a request to `site`, as it was sent.
    pub fn target(&self, raw: &str, site: &Site) -> Result<Target, Failure> {
        let target = Target::parse(raw, site.encoded_slash)?;
        let (length, limit) = (target.path().len(), self.server.limits.path);
        match length > limit {
            true => Err(Failure::PathTooLong { length, limit }),
            false => Ok(target),
        }
    }

    /// The certificates, where there are any.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_deref()
    }

    /// Reads again the certificates and authorities that have changed on disk: those that were
    /// replaced, and those that should have been. Connections are not touched. Blocks.
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

//! State shared while sites are built: upstreams by name, quotas, counters kept across reloads.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::logs::LogsInUse;
use super::source::Sources;
use crate::auth::Authentication;
use crate::cgi::Responder;
use crate::cgi::contract::TYPE;
use crate::handler::fastcgi::{CallTimeouts, ErrorLog, target};
use crate::limits::budget::Budgets;
use crate::limits::per_client::PerClient;
use crate::section::{AnyKey, At, Key, Lowered, Problem, Problems};
use crate::site::snapshot::Upstreams;
use crate::site::{ServerSettings, Site};
use crate::upstream::section::{
    BACKEND_ROOT, FIRST_BYTE, IDLE, QUEUE, RESOLVE_ROOT, SERVERS, TIMEOUTS_KEY, TOTAL, UPSTREAM,
    response_buffer,
};
use crate::upstream::{Address, Upstream};
use crate::value::TimeLimit;

/// State shared while sites are built: upstreams, quotas, counters kept across reloads.
pub(super) struct BuildContext<'a> {
    pub(super) server: &'a ServerSettings,
    /// The logs.
    pub(super) logs: &'a LogsInUse,
    /// Upstreams by name; anonymous ones, known by address, are added. Sites are built in parallel.
    pub(super) upstreams: Mutex<Upstreams>,
    pub(super) previous: Option<&'a Upstreams>,
    /// Every file was read without errors.
    pub(super) complete: bool,
    /// Source files, for source locations.
    pub(super) sources: &'a Sources,
    /// Budgets shared by all requests.
    pub(super) budgets: &'a Budgets,
    /// State of authentication, kept across reloads.
    pub(super) authentication: &'a Authentication,
    /// Event streams and long polls of each client.
    pub(super) live_streams: &'a Arc<PerClient>,
    /// Streamed uploads of each client that a worker waits for.
    pub(super) streamed_uploads: &'a Arc<PerClient>,
    /// Limit of stderr output of all requests.
    pub(super) error_log: &'a Arc<ErrorLog>,
    /// Sites of the previous configuration by name, whose counters and counts are kept.
    pub(super) previous_sites: &'a HashMap<Arc<str>, Arc<Site>>,
}

impl BuildContext<'_> {
    /// Returns the upstream of a name, an address or the server of Apache's target; an anonymous one has the
    /// defaults.
    pub(super) fn upstream(
        &self,
        text: &At<String>,
        problems: &mut Problems,
    ) -> Option<Arc<Upstream>> {
        if !target::is_target(&text.value) {
            return self.upstream_at(text, problems);
        }
        match target::server(&text.value, |name| self.is_upstream(name)) {
            Ok(value) => {
                let place = text.place.clone();
                self.upstream_at(&At { value, place }, problems)
            }
            Err(message) => {
                problems.push(Problem::new(text.place.clone(), message));
                None
            }
        }
    }

    fn upstream_at(&self, text: &At<String>, problems: &mut Problems) -> Option<Arc<Upstream>> {
        if let Some((_, upstream)) = self.upstreams().get(&text.value) {
            return Some(Arc::clone(upstream));
        }
        match Address::parse(&text.value) {
            Ok(address) => Some(self.anonymous(&text.value, address)),
            Err(_) if !self.complete => None,
            Err(message) => {
                let upstreams = self.upstreams();
                let mut names = upstreams.keys();
                let near = names.find(|name| strsim::damerau_levenshtein(name, &text.value) <= 2);
                let help = near.map_or(message, |name| format!("did you mean `{name}`?"));
                problems.push(
                    Problem::new(
                        text.place.clone(),
                        format!("unknown upstream `{}`", text.value),
                    )
                    .help(help),
                );
                None
            }
        }
    }

    /// Reports whether `name` is that of an `[upstream.NAME]`.
    pub(super) fn is_upstream(&self, name: &str) -> bool {
        self.upstreams().contains_key(name)
    }

    /// Returns `backend_root` of an upstream.
    pub(super) fn backend_root(&self, upstream: &Upstream) -> Option<PathBuf> {
        let text = self.section(upstream)?.get(&BACKEND_ROOT)?;
        Some(PathBuf::from(text.value))
    }

    /// Returns `resolve_root` of an upstream. Servers on this host see the files that the gateway sees.
    pub(super) fn resolves_root(&self, upstream: &Upstream) -> bool {
        let section = self.section(upstream);
        let given = section
            .as_ref()
            .and_then(|section| section.given(&RESOLVE_ROOT));
        given.unwrap_or_else(|| {
            let are_local = upstream.servers().iter().all(Address::is_local);
            are_local && self.backend_root(upstream).is_none()
        })
    }

    /// Returns the timeouts of `upstream`, with their source locations.
    pub(super) fn timeouts(&self, upstream: &Upstream) -> CallTimeouts {
        let section = self.section(upstream);
        let table = section
            .as_ref()
            .and_then(|section| section.given(&TIMEOUTS_KEY));
        let limit = |name, key: &Key<Duration>, duration| TimeLimit {
            name,
            duration,
            place: table.map_or_else(|| "default".into(), |table| self.location_of(table, key)),
        };
        let times = &upstream.timeouts;
        CallTimeouts {
            queue: limit("timeouts.queue", &QUEUE, times.queue),
            first_byte: limit("timeouts.first_byte", &FIRST_BYTE, times.first_byte),
            idle: limit("timeouts.idle", &IDLE, times.idle),
            total: limit("timeouts.total", &TOTAL, times.total),
        }
    }

    /// Returns the source location of a key, or `default`.
    pub(super) fn location_of(&self, table: &Lowered, key: &dyn AnyKey) -> Arc<str> {
        if table.is_given(key) {
            self.sources.show(&table.place_of(key)).into()
        } else {
            "default".into()
        }
    }

    /// Returns the source location of `backend_root`, as `file:line`.
    pub(super) fn backend_root_place(&self, upstream: &Upstream) -> Option<String> {
        let text = self.section(upstream)?.get(&BACKEND_ROOT)?;
        Some(self.sources.show(&text.place))
    }

    /// Returns `type` of an upstream.
    pub(super) fn responder(&self, upstream: &Upstream) -> Responder {
        let Some(section) = self.section(upstream) else {
            return Responder::Fpm;
        };
        let servers = section.get(&SERVERS);
        let first = servers.first().map(|text| text.value.as_str());
        Responder::new(&section.get(&TYPE), first)
    }

    /// Returns `response_buffer` of an upstream, in bytes.
    pub(super) fn response_buffer(&self, upstream: &Upstream) -> u64 {
        let section = self.section(upstream);
        section.map_or(u64::MAX, |section| response_buffer(&section).unwrap_or(0))
    }

    /// Returns a placeholder without servers for an invalid upstream.
    pub(super) fn placeholder_upstream(&self) -> Arc<Upstream> {
        Arc::new(Upstream::with("", Vec::new(), &defaults(), None))
    }

    /// Returns all upstreams.
    pub(super) fn into_upstreams(self) -> Upstreams {
        let upstreams = self.upstreams.into_inner();
        upstreams.unwrap_or_else(PoisonError::into_inner)
    }

    fn upstreams(&self) -> MutexGuard<'_, Upstreams> {
        let upstreams = self.upstreams.lock();
        upstreams.unwrap_or_else(PoisonError::into_inner)
    }

    fn section(&self, upstream: &Upstream) -> Option<Arc<Lowered>> {
        let upstreams = self.upstreams();
        let (section, _) = upstreams.get(&upstream.name)?;
        Some(Arc::clone(section))
    }

    fn anonymous(&self, name: &str, address: Address) -> Arc<Upstream> {
        let mut upstreams = self.upstreams();
        let build = || {
            let section = defaults();
            let upstream = match self.previous.and_then(|upstreams| upstreams.get(name)) {
                Some((before, upstream)) if before.same_as(&section) => Arc::clone(upstream),
                known => {
                    let known = known.map(|(_, upstream)| &**upstream);
                    Arc::new(Upstream::with(name, vec![address], &section, known))
                }
            };
            (Arc::new(section), upstream)
        };
        // Another site may have added it meanwhile.
        let (_, upstream) = upstreams.entry(name.to_owned()).or_insert_with(build);
        Arc::clone(upstream)
    }
}

/// Returns the section of an upstream without settings.
fn defaults() -> Lowered {
    let nothing = toml::de::DeTable::new();
    let ignored = &mut Problems::default();
    UPSTREAM.lower(&nothing, Default::default(), &|_| None, ignored)
}

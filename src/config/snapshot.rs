//! Construction of a [`Snapshot`] from the sections of all files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::build_context::BuildContext;
use super::logs::LogsInUse;
use super::review::{warn_of_endless_redirects, warn_of_exposed, warn_of_hosts};
use super::site_section::SITES;
use super::sites::build_sites;
use super::source::Sources;
use super::{admin, certificates, file, listen, listener_names, server};
use crate::auth::Authentication;
use crate::limits::budget::Budgets;
use crate::limits::per_client::PerClient;
use crate::message::spool::STREAMED_UPLOADS;
use crate::process::{self, Program};
use crate::section::{FileId, Lowered, Place, Problem, Problems};
use crate::site::hosts::Hosts;
use crate::site::sharing::sharing;
use crate::site::snapshot::Upstreams;
use crate::site::{AdminSettings, ListenAddress, Listener, ServerSettings, Site, Snapshot};
use crate::tls::Certificates;
use crate::upstream::Upstream;

impl Snapshot {
    /// Builds the snapshot from the sections of all files; every fault goes to `problems`. Carries over
    /// upstreams with the same section as in `previous`, and for the others the servers in common, with
    /// their connections and queues.
    pub fn build(
        files: Vec<Lowered>,
        sources: &Sources,
        previous: Option<&Self>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let main = files.first()?;
        // After a read error, a reference may point into the part that was not read.
        let complete = problems.is_empty();
        let server_section = main.get(&server::KEY);
        let server = ServerSettings::build(&server_section, problems);
        let logs = LogsInUse::new(previous.map(|snapshot| &snapshot.logs));
        let access_logs = logs.of_server(&server_section, problems);
        let admin = AdminSettings::build(&main.get(&admin::KEY), problems);
        let budgets = budgets(&server, previous);
        let authentication = authentication(&server, previous);
        let [live_streams, streamed_uploads] = per_client(previous);
        let certificates = certificates::build(&files, previous, problems);
        let listeners = listeners(&files, certificates.as_ref(), &logs, problems);
        let upstreams = named_upstreams(&files, previous, problems);
        let processes = processes(&files, problems);
        let error_log = previous.map_or_else(Arc::default, |it| Arc::clone(&it.error_log));
        let context = BuildContext {
            previous_sites: &sites(previous),
            server: &server,
            logs: &logs,
            upstreams: Mutex::new(upstreams),
            previous: previous.map(|snapshot| &snapshot.upstreams),
            complete,
            sources,
            budgets: &budgets,
            authentication: &authentication,
            live_streams: &live_streams,
            streamed_uploads: &streamed_uploads,
            error_log: &error_log,
        };
        let sections: Vec<_> = files.iter().flat_map(|file| file.get(&SITES)).collect();
        let sites = build_sites(&sections, &context, problems);
        let upstreams = context.into_upstreams();
        warn(&files, sources, problems);
        check_sites(sites.is_empty() && complete, problems);
        let sites = sites.into_iter().zip(sections);
        let hosts = Hosts::build(sites.collect(), listener_names::all(&files), problems);
        check_hosts(&files, &hosts, complete, problems);
        let events = logs.error_log(&server_section, problems);
        let by_listener = listeners.iter().any(|it| it.access_logs.is_some());
        let logs = logs.into_logs(access_logs, by_listener, events);
        problems.is_empty().then(|| Self {
            admin,
            watched: sources.watched().clone(),
            files,
            server,
            listeners,
            processes,
            logs,
            warnings: String::new(),
            certificates,
            hosts,
            upstreams,
            budgets,
            authentication,
            live_streams,
            streamed_uploads,
            error_log,
        })
    }

    pub(super) fn with_warnings(self, warnings: String) -> Self {
        Self { warnings, ..self }
    }
}

fn warn(files: &[Lowered], sources: &Sources, problems: &mut Problems) {
    warn_of_hosts(files, problems);
    warn_of_endless_redirects(files, problems);
    warn_of_exposed(files, sources, problems);
}

/// Refuses listeners without a site, if all sites were read, and reserves that exceed the total.
fn check_hosts(files: &[Lowered], hosts: &Hosts, complete: bool, problems: &mut Problems) {
    if complete && !hosts.each().is_empty() {
        listener_names::check(files, hosts, problems);
    }
    sharing(hosts.each().iter(), problems);
}

/// Returns the sites by name.
fn sites(previous: Option<&Snapshot>) -> HashMap<Arc<str>, Arc<Site>> {
    let sites = previous.into_iter().flat_map(Snapshot::sites);
    let named = sites.map(|site| (Arc::clone(&site.name), Arc::clone(site)));
    named.collect()
}

/// Returns each client's counts of live streams and streamed uploads, which a reload carries over.
fn per_client(previous: Option<&Snapshot>) -> [Arc<PerClient>; 2] {
    previous.map_or_else(
        || [0, STREAMED_UPLOADS].map(|most| Arc::new(PerClient::new(most))),
        |it| [&it.live_streams, &it.streamed_uploads].map(Arc::clone),
    )
}

/// Returns the budgets of all requests, which a reload carries over with their current use.
fn budgets(server: &ServerSettings, previous: Option<&Snapshot>) -> Budgets {
    let budgets = previous.map(|snapshot| snapshot.budgets.clone());
    budgets.unwrap_or_else(|| Budgets::new(&server.shared))
}

/// Returns the state of authentication, which a reload carries over.
fn authentication(server: &ServerSettings, previous: Option<&Snapshot>) -> Authentication {
    let carried = previous.map(|snapshot| snapshot.authentication.clone());
    carried.unwrap_or_else(|| Authentication::new(server.hashing))
}

/// Reports a missing site, unless there are other problems.
fn check_sites(are_missing: bool, problems: &mut Problems) {
    let place = Place {
        file: FileId(0),
        span: 0..0,
    };
    let help = "a site needs three lines: [[site]], root = \"/srv/app/public\", php = \"unix:/run/php/php-fpm.sock\"";
    if are_missing && problems.is_empty() {
        problems.push(Problem::new(place, "no [[site]] is configured").help(help));
    }
}

fn listeners(
    files: &[Lowered],
    certificates: Option<&Arc<Certificates>>,
    logs: &LogsInUse,
    problems: &mut Problems,
) -> Vec<Listener> {
    let sections: Vec<_> = files
        .iter()
        .flat_map(|file| file.get(&listen::KEY))
        .collect();
    if sections.is_empty() {
        return vec![Listener::default_listener()];
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for section in sections {
        let Some(listener) = Listener::build(section, certificates, logs, problems) else {
            continue;
        };
        let address = &listener.address;
        let any_port = matches!(address, ListenAddress::Tcp(address) if address.port() == 0);
        let taken = |other: &Listener| other.address == *address;
        if listeners.iter().any(taken) && !any_port {
            problems.push(Problem::new(
                section.place_of(&listen::ADDRESS),
                format!("two listeners have the address {address}"),
            ));
        }
        listeners.push(listener);
    }
    listeners
}

fn processes(files: &[Lowered], problems: &mut Problems) -> Vec<Program> {
    let mut programs: Vec<Program> = Vec::new();
    for (name, section) in files.iter().flat_map(|file| file.get(&file::PROCESS)) {
        if programs.len() == process::MOST {
            let message = format!("more than {} programs", process::MOST);
            problems.push(Problem::new(name.place.clone(), message));
            break;
        }
        if programs.iter().any(|program| program.name == name.value) {
            problems.push(Problem::new(
                name.place.clone(),
                format!("two processes have the name `{}`", name.value),
            ));
        }
        programs.extend(Program::build(name, section, problems));
    }
    programs
}

fn named_upstreams(
    files: &[Lowered],
    previous: Option<&Snapshot>,
    problems: &mut Problems,
) -> Upstreams {
    let mut upstreams = Upstreams::new();
    for (name, section) in files.iter().flat_map(|file| file.get(&file::UPSTREAM)) {
        let known = previous.and_then(|snapshot| snapshot.upstreams.get(&name.value));
        let upstream = match known {
            Some((before, upstream)) if before.same_as(section) => Some(Arc::clone(upstream)),
            known => {
                let known = known.map(|(_, upstream)| &**upstream);
                Upstream::build(&name.value, section, known, problems).map(Arc::new)
            }
        };
        // Its faults were reported; the name is known all the same.
        let nobody = || Arc::new(Upstream::with(&name.value, Vec::new(), section, None));
        let upstream = upstream.unwrap_or_else(nobody);
        if upstreams
            .insert(name.value.clone(), (Arc::new(section.clone()), upstream))
            .is_some()
        {
            problems.push(Problem::new(
                name.place.clone(),
                format!("two upstreams have the name `{}`", name.value),
            ));
        }
    }
    upstreams
}

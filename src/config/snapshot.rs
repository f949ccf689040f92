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
use crate::files::Files;
use crate::limits::budget::Budgets;
use crate::limits::per_client::PerClient;
use crate::message::spool::STREAMED_UPLOADS;
use crate::privilege::User;
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
        sections: Vec<Lowered>,
        sources: &Sources,
        previous: Option<&Self>,
        files: &Files,
        problems: &mut Problems,
    ) -> Option<Self> {
        let main = sections.first()?;
        // After a read error, a reference may point into the part that was not read.
        let complete = problems.is_empty();
        let server = ServerSettings::build(&main.get(&server::KEY), files, problems);
        let logs = LogsInUse::new(previous.map(|snapshot| &snapshot.logs), files);
        let admin = AdminSettings::build(&main.get(&admin::KEY), files, problems);
        let budgets = budgets(&server, previous);
        let authentication = authentication(&server, previous);
        let [live_streams, streamed_uploads] = per_client(previous);
        let certificates = certificates::build(&sections, previous, files, problems);
        let listeners = listeners(&sections, certificates.as_ref(), &logs, files, problems);
        let upstreams = named_upstreams(&sections, previous, problems);
        let processes = processes(&sections, &server, files, problems);
        let error_log = previous.map_or_else(Arc::default, |it| Arc::clone(&it.error_log));
        let context = BuildContext {
            previous_sites: &sites(previous),
            server: &server,
            logs: &logs,
            files,
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
        let (sites, upstreams) = sites_and_upstreams(&sections, context, problems);
        warn(&sections, sources, files, problems);
        let hosts = hosts(sites, &sections, complete, problems);
        let logs = logs.into_logs(&main.get(&server::KEY), &listeners, problems);
        problems.is_empty().then(|| Self {
            admin,
            watched: sources.watched().clone(),
            files: sections,
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

fn site_sections(sections: &[Lowered]) -> Vec<&Lowered> {
    sections.iter().flat_map(|file| file.get(&SITES)).collect()
}

/// Builds the sites; returns them with all upstreams, also those named by an address alone.
fn sites_and_upstreams(
    sections: &[Lowered],
    context: BuildContext<'_>,
    problems: &mut Problems,
) -> (Vec<Site>, Upstreams) {
    let sites = build_sites(&site_sections(sections), &context, problems);
    (sites, context.into_upstreams())
}

/// Reviews the configuration, unless that was done when it was recorded.
fn warn(sections: &[Lowered], sources: &Sources, files: &Files, problems: &mut Problems) {
    if files.is_bundle() {
        return;
    }
    warn_of_hosts(sections, problems);
    warn_of_endless_redirects(sections, problems);
    warn_of_exposed(sections, sources, problems);
}

/// Builds the hosts of the sites. Refuses listeners without a site, if all sites were read, and reserves that exceed the
/// total.
fn hosts(sites: Vec<Site>, sections: &[Lowered], complete: bool, problems: &mut Problems) -> Hosts {
    check_sites(sites.is_empty() && complete, problems);
    let with_sections = sites.into_iter().zip(site_sections(sections));
    let names = listener_names::all(sections);
    let hosts = Hosts::build(with_sections.collect(), names, problems);
    if complete && !hosts.each().is_empty() {
        listener_names::check(sections, &hosts, problems);
    }
    sharing(hosts.each().iter(), problems);
    hosts
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
    parts: &[Lowered],
    certificates: Option<&Arc<Certificates>>,
    logs: &LogsInUse,
    files: &Files,
    problems: &mut Problems,
) -> Vec<Listener> {
    let sections: Vec<_> = parts
        .iter()
        .flat_map(|file| file.get(&listen::KEY))
        .collect();
    if sections.is_empty() {
        return vec![Listener::default_listener()];
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for section in sections {
        let Some(listener) = Listener::build(section, certificates, logs, files, problems) else {
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

/// Builds the programs, which run as the user of the server unless they have one of their own. A bundle was checked when
/// it was recorded, with the rights to start them.
fn processes(
    sections: &[Lowered],
    server: &ServerSettings,
    files: &Files,
    problems: &mut Problems,
) -> Vec<Program> {
    let own = User::own();
    let user = User::resolve(&server.user, &own).unwrap_or(own);
    let mut found = Problems::default();
    let programs = build_programs(sections, &user, &mut found);
    if !files.is_bundle() {
        problems.append(found);
    }
    programs
}

fn build_programs(sections: &[Lowered], user: &User, problems: &mut Problems) -> Vec<Program> {
    let mut programs: Vec<Program> = Vec::new();
    for (name, section) in sections.iter().flat_map(|file| file.get(&file::PROCESS)) {
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
        programs.extend(Program::build(name, section, user, problems));
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

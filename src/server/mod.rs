//! The server: binds, serves, reloads, drains.

mod accept_failures;
mod boot;
mod certificates;
pub mod confinement;
mod connection;
mod deadline;
mod descriptors;
mod exit_watchdog;
mod failure_log;
mod final_response;
mod grant;
mod handshake;
mod io;
mod lag;
mod listener;
mod liveness;
mod log_throttle;
mod logged;
mod memory;
mod outbox;
mod pace;
mod parent;
mod places;
mod proxy_protocol;
mod receive_buffer;
mod reload;
mod request_memory;
mod reset_count;
mod service;
mod shared;
mod shutdown;
mod shutdown_grace;
mod sniff;
mod socket;
mod start_error;
mod subrequest;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin, AdminListener, Command, State};
use crate::line_log::stderr::ErrorLog;
use crate::privilege::Confinement;
use crate::site::Snapshot;
use crate::threads::Threads;
pub use boot::{Boot, Parent, Sockets};
pub use exit_watchdog::ExitWatchdog;
use exit_watchdog::StopSignals;
use listener::Listeners;
use parent::{Event, ParentLink};
use shared::Shared;
pub use shutdown::LastLines;
use shutdown::Limit;
pub use start_error::StartError;

/// State of the process before it serves.
#[derive(Debug)]
pub struct Process {
    /// The sockets from the parent.
    pub sockets: Sockets,
    /// The error log.
    pub log: ErrorLog,
    /// The rights of the process; `None` without a sandbox.
    pub confinement: Option<Confinement>,
    /// Ends the process if the serving threads are blocked.
    pub exit_watchdog: ExitWatchdog,
}

/// Serves until the parent or a signal says otherwise, and returns when all requests are finished or the time limit of the
/// drain has passed. Remaining requests end with the runtime, and are logged then. `threads` serve the connections.
pub async fn run(
    parent: Parent,
    mut snapshot: Snapshot,
    process: Process,
    threads: Threads,
) -> Result<LastLines, StartError> {
    let mut stops = StopSignals::new().map_err(StartError::Signals)?;
    memory::apply_limit(&mut snapshot.server);
    let ceiling = descriptors::apply_limit(&mut snapshot);
    snapshot.logs.open(&parent.files)?;
    snapshot.logs.apply(&process.log);
    let state = Arc::new(State::new(
        snapshot.server.limits.connections,
        process.log.on_stderr().clone(),
        Arc::clone(&snapshot.logs.all),
    ));
    let shared = Arc::new(Shared {
        ceiling,
        ..Shared::new(snapshot, process.log, state, threads)
    });
    let stop = CancellationToken::new();
    let mut listeners = Listeners::new(Arc::clone(&shared), stop.clone());
    let settings = shared.live.current();
    process.exit_watchdog.set_serving();
    let prepared = listeners.prepare(&settings.listeners, process.sockets.listeners);
    prepared.map_err(StartError::Socket)?.apply(&mut listeners);
    lag::measure(&shared.threads, &shared.state);
    tokio::spawn(certificates::keep_fresh(Arc::clone(&shared), stop.clone()));
    tokio::spawn(sweep(Arc::clone(&shared), stop.clone()));
    let (commands, asked) = mpsc::channel(COMMANDS);
    if let Some(confinement) = process.confinement {
        let watched = confinement::watch(Arc::clone(&shared), confinement, commands.clone());
        tokio::spawn(watched);
    }
    if let Some(socket) = process.sockets.admin {
        let bound = AdminListener::new(socket).map_err(StartError::Socket)?;
        start_admin(&shared, bound, commands);
    }
    let mut link = ParentLink::new(parent, asked).map_err(StartError::Socket)?;
    link.report_serving().await;
    #[cfg(debug_assertions)]
    crate::privilege::attempt::log_attempts();
    let limit = serve(&mut link, &shared, &mut listeners, &mut stops).await;
    shared.state.drain();
    link.refuse_reloads();
    shutdown::shut_down(&shared, &stop, (&mut stops, &mut link), limit).await;
    process.exit_watchdog.set_ending();
    Ok(LastLines(shared.live.load().logs.all.all()))
}

/// Serves until the drain, and returns its limit.
async fn serve(
    link: &mut ParentLink,
    shared: &Arc<Shared>,
    listeners: &mut Listeners,
    stops: &mut StopSignals,
) -> Limit {
    loop {
        let event = tokio::select! {
            event = link.next() => event,
            () = stops.next() => return Limit::Stop,
        };
        match event {
            Event::Swap(swap) => {
                let swapped = reload::swap(swap, link, shared, listeners);
                // A file whose read blocks must not prevent the stop.
                let outcome = tokio::select! {
                    outcome = swapped => outcome,
                    () = stops.next() => return Limit::Stop,
                };
                link.report_swapped(outcome).await;
            }
            Event::ReopenLogs => shared.live.load().logs.all.reopen(),
            Event::ReloadRefused => shared.state.reloads_refused.add(),
            Event::ListenersClosed => {}
            Event::Report(interval) => {
                let reports = liveness::report(Arc::clone(shared), link.channel(), interval);
                tokio::spawn(reports);
            }
            Event::Drain => return Limit::Replaced,
            Event::Ended => {
                tracing::error!("the parent has ended: stopping");
                return Limit::Stop;
            }
        }
    }
}

/// Interval at which unused cached files are closed.
const SWEEP: Duration = Duration::from_secs(5);

async fn sweep(shared: Arc<Shared>, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(SWEEP))
        .await
        .is_some()
    {
        shared.disk.sweep();
    }
}

/// Capacity of the queue of commands.
const COMMANDS: usize = 8;

/// Starts the admin listener.
fn start_admin(shared: &Shared, bound: AdminListener, commands: mpsc::Sender<Command>) {
    let settings = shared.live.load().admin.clone();
    tracing::info!(admin = bound.address(), "admin listener ready");
    let admin = Admin::new(shared.live.clone(), Arc::clone(&shared.state), commands);
    let replaced = shared.replaced.clone();
    tokio::spawn(admin::serve(bound, settings.hosts, admin, replaced));
}

#[cfg(test)]
mod tests;

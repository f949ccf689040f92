//! The server: binds, serves, reloads, drains.

mod accept_failures;
mod certificates;
pub mod confinement;
mod connection;
mod deadline;
mod descriptors;
mod exit_watchdog;
mod file_watch;
mod final_response;
mod handshake;
mod inherited;
mod io;
mod lag;
mod listener;
mod log_throttle;
mod logged;
mod memory;
mod outbox;
mod pace;
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

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::access_log::{AccessLog, Destination};
use crate::admin::{self, Admin, AdminListener, Command, State};
use crate::line_log::LineLog;
use crate::process::Processes;
use crate::site::{ServerSettings, Snapshot};
use crate::threads::Threads;
pub use exit_watchdog::ExitWatchdog;
use exit_watchdog::StopSignals;
pub use inherited::Inherited;
use listener::Listeners;
use shared::Shared;
pub use shutdown::LastLines;
pub use start_error::StartError;

/// State of the process before it serves.
#[derive(Debug)]
pub struct Process {
    /// Sockets passed by systemd.
    pub inherited: Inherited,
    /// The log on stderr.
    pub log: LineLog,
    /// Ends the process if the serving threads are blocked.
    pub exit_watchdog: ExitWatchdog,
}

/// Serves until SIGTERM or SIGINT, and returns when all requests are finished or `server.drain` has passed. Remaining
/// requests end with the runtime, and are logged then. `path` is the configuration that SIGHUP loads, `threads` serve the
/// connections.
pub async fn run(
    path: PathBuf,
    mut snapshot: Snapshot,
    process: Process,
    threads: Threads,
) -> Result<LastLines, StartError> {
    let mut signals = Signals::new().map_err(StartError::Signals)?;
    memory::apply_limit(&mut snapshot.server);
    let ceiling = descriptors::apply_limit(&mut snapshot);
    let server = &snapshot.server;
    let access_log = start_access_log(server)?;
    let logs = [Some(process.log), access_log.lines().cloned()]
        .into_iter()
        .flatten()
        .collect();
    let state = Arc::new(State::new(server.limits.connections, logs));
    let shared = Arc::new(Shared {
        ceiling,
        ..Shared::new(snapshot, access_log, state, threads)
    });
    let stop = CancellationToken::new();
    let mut listeners = Listeners::new(Arc::clone(&shared), process.inherited, stop.clone());
    listeners.bind(&shared.live.current().listeners)?;
    lag::measure(&shared.threads, &shared.state);
    tokio::spawn(certificates::keep_fresh(Arc::clone(&shared), stop.clone()));
    tokio::spawn(sweep(Arc::clone(&shared), stop.clone()));
    let mut processes =
        Processes::start(&shared.live.current().processes).map_err(StartError::Signals)?;
    let (commands, mut asked) = mpsc::channel(COMMANDS);
    start_admin(&shared, commands.clone()).await?;
    tokio::spawn(file_watch::watch(shared.live.clone(), commands));
    process.exit_watchdog.set_serving();
    loop {
        let (event, command) = tokio::select! {
            event = signals.next() => (event, None),
            Some(command) = asked.recv() => (Event::Reload, Some(command)),
        };
        match event {
            Event::Reload => {
                let reload = reload::serve(command, &path, &shared, &mut listeners);
                // A file whose read blocks must not prevent the stop.
                tokio::select! {
                    () = reload => processes.follow(&shared.live.current().processes),
                    () = signals.stops.next() => break,
                }
            }
            Event::ReopenLogs => shared.access_log.reopen(),
            Event::Stop => break,
        }
    }
    shared.state.drain();
    // Pending reload requests fail at once.
    drop(asked);
    shutdown::shut_down(&shared, &stop, &mut signals.stops, &mut processes).await;
    process.exit_watchdog.set_ending();
    Ok(LastLines(shared.access_log.clone()))
}

fn start_access_log(server: &ServerSettings) -> Result<AccessLog, StartError> {
    let log = AccessLog::start(server.access_log.clone(), server.access_format.clone());
    log.map_err(|error| StartError::AccessLog {
        path: match &server.access_log {
            Destination::File(path) => path.clone(),
            Destination::Stdout | Destination::Off => PathBuf::from("on stdout"),
        },
        error,
    })
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

/// Starts the admin listener. A failure is an error if the configuration has `admin.address`, else a warning.
async fn start_admin(shared: &Shared, commands: mpsc::Sender<Command>) -> Result<(), StartError> {
    let settings = shared.live.load().admin.clone();
    let Some(address) = &settings.address else {
        return Ok(());
    };
    match AdminListener::bind(address).await {
        Ok(bound) => {
            tracing::info!(admin = bound.address(), "admin listener ready");
            let admin = Admin::new(shared.live.clone(), Arc::clone(&shared.state), commands);
            tokio::spawn(admin::serve(bound, settings.hosts, admin));
            Ok(())
        }
        Err(error) if settings.is_given => Err(StartError::Admin {
            address: address.to_string(),
            error,
        }),
        Err(error) => {
            tracing::warn!(%address, %error, "no admin listener: set admin.address to another address, or to \"off\"");
            Ok(())
        }
    }
}

/// The handled signals.
#[derive(Debug)]
struct Signals {
    hangup: Signal,
    user1: Signal,
    stops: StopSignals,
}

/// Effect of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Reload,
    ReopenLogs,
    Stop,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            stops: StopSignals::new()?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.hangup.recv() => Event::Reload,
            _ = self.user1.recv() => Event::ReopenLogs,
            () = self.stops.next() => Event::Stop,
        }
    }
}

#[cfg(test)]
mod tests;

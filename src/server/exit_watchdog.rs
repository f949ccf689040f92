//! Watchdog for the end of the process: a thread of its own receives SIGTERM and SIGINT too, and ends the process if the
//! serving threads do not, because one is blocked in a call that does not return.

use std::io;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

/// Time for an orderly exit after the drain: two seconds for the last lines of each log, and a second for killed
/// processes.
const GRACE: Duration = Duration::from_secs(6);

/// Exit code of a process ended by SIGTERM, as a shell shows it.
const INTERRUPTED: i32 = 128 + 15;

/// Phase of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is served yet: the first signal ends the process.
    Starting,
    /// The first signal starts the drain, which has its own limit.
    Serving,
    /// The drain is over.
    Ending,
}

/// Handle of the watchdog thread.
#[derive(Debug)]
pub struct ExitWatchdog(watch::Sender<Phase>);

impl ExitWatchdog {
    /// Starts the thread; SIGTERM and SIGINT lose their default action.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut stops = {
            let _context = runtime.enter();
            StopSignals::new()?
        };
        let (sender, phases) = watch::channel(Phase::Starting);
        let wait = move || {
            let code = runtime.block_on(end(async || stops.next().await, phases));
            std::process::exit(code);
        };
        std::thread::Builder::new()
            .name("exit-watchdog".to_owned())
            .spawn(wait)?;
        Ok(Self(sender))
    }

    /// Leaves the first signal to the server.
    pub(super) fn set_serving(&self) {
        self.0.send_replace(Phase::Serving);
    }

    /// Starts the time limit of the exit.
    pub(super) fn set_ending(&self) {
        self.0.send_replace(Phase::Ending);
    }
}

/// The signals that stop the process: SIGTERM and SIGINT.
#[derive(Debug)]
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits until the process has to exit; returns its exit code.
async fn end(mut stop: impl AsyncFnMut(), mut phases: watch::Receiver<Phase>) -> i32 {
    for _ in 0..2 {
        tokio::select! {
            () = stop() => {}
            // An error means that main has returned.
            _ = phases.wait_for(|phase| *phase == Phase::Ending) => break,
        }
        if *phases.borrow() == Phase::Starting {
            return INTERRUPTED;
        }
    }
    sleep(GRACE).await;
    1
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::{Instant, timeout};

    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    /// Returns the exit code, and the seconds until the exit.
    async fn ended(phase: Phase, signals: usize) -> Option<(i32, u64)> {
        let (sender, mut receiver) = mpsc::channel(2);
        for _ in 0..signals {
            sender.send(()).await.unwrap();
        }
        let (_phase, phases) = watch::channel(phase);
        let begun = Instant::now();
        let end = end(async || receiver.recv().await.unwrap(), phases);
        let code = timeout(LONG, end).await.ok()?;
        drop(sender);
        Some((code, begun.elapsed().as_secs()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_always_ends() {
        for (phase, signals, expected) in [
            (Phase::Starting, 0, None),
            (Phase::Starting, 1, Some((INTERRUPTED, 0))),
            (Phase::Serving, 0, None),
            (Phase::Serving, 1, None),
            (Phase::Serving, 2, Some((1, 6))),
            (Phase::Ending, 0, Some((1, 6))),
            (Phase::Ending, 1, Some((1, 6))),
        ] {
            let found = ended(phase, signals).await;
            assert_eq!(found, expected, "{phase:?} and {signals} signals");
        }
    }
}

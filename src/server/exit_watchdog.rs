//! The end that always comes: a thread of its own hears SIGTERM and SIGINT too, and ends the process where the threads
//! that serve do not, as one of them is stuck in a call that does not return.

use std::io;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

/// How long an orderly end may take once it is due: the last lines of both logs, two seconds each, and a second for
/// programs that are killed.
const GRACE: Duration = Duration::from_secs(6);

/// The exit code of a process that SIGTERM ended, as a shell shows it.
const INTERRUPTED: i32 = 128 + 15;

/// What the process is doing, for the thread that ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is served yet, so the first signal ends it.
    Starting,
    /// The first signal begins the drain, which has its own bound.
    Serving,
    /// All that can be waited for is over.
    Ending,
}

/// Tells the thread what the process is doing.
#[derive(Debug)]
pub struct ExitWatchdog(watch::Sender<Phase>);

impl ExitWatchdog {
    /// Starts the thread; from now on signals no longer have their default effect.
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
            .name("last-resort".to_owned())
            .spawn(wait)?;
        Ok(Self(sender))
    }

    /// From now on the server hears signals itself.
    pub(super) fn set_serving(&self) {
        self.0.send_replace(Phase::Serving);
    }

    /// The drain is over, or was ended.
    pub(super) fn set_ending(&self) {
        self.0.send_replace(Phase::Ending);
    }
}

/// Signals that ask for the end.
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

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits until the process has to end, whatever it is doing; returns its exit code.
async fn end(mut stop: impl AsyncFnMut(), mut phases: watch::Receiver<Phase>) -> i32 {
    for _ in 0..2 {
        tokio::select! {
            () = stop() => {}
            // Where nobody is left to say so, main has returned.
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

    /// The code and the seconds after which the process ends by itself.
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

//! While accepting fails: one line when that begins and one when it has ended, however often it
//! fails in between.

use std::future::pending;
use std::io;
use std::time::Duration;

use nix::errno::Errno;
use tokio::time::{Instant, sleep_until};

/// After how long without a failure it has ended. A process at its limit accepts now and then.
const RECOVERY: Duration = Duration::from_secs(1);

/// Whether accepting fails for want of descriptors or memory, and since when it does not.
#[derive(Debug, Default)]
pub(super) struct AcceptFailures {
    failed: Option<Instant>,
    failures: u64,
}

impl AcceptFailures {
    /// Notes a failure, and tells the first.
    pub(super) fn record(&mut self, error: &io::Error) {
        if self.failed.replace(Instant::now()).is_none() {
            let advice = match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EMFILE) => {
                    ": the limit on open files is reached (ulimit -Hn, LimitNOFILE= of systemd, or a lower server.limits.connections)"
                }
                Some(Errno::ENFILE) => ": the system has too many open files (fs.file-max)",
                Some(_) | None => "",
            };
            tracing::error!(%error, "cannot accept connections, they have to wait{advice}");
        }
        self.failures += 1;
    }

    /// Waits until it has ended; for ever where there is none.
    pub(super) async fn recovered(&self) {
        match self.failed {
            Some(failed) => sleep_until(failed + RECOVERY).await,
            None => pending().await,
        }
    }

    /// Tells that it has ended, and begins anew.
    pub(super) fn log_recovery(&mut self) {
        tracing::warn!(failures = self.failures, "connections are accepted again");
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nothing_failed_for_a_while() {
        let begun = Instant::now();
        let mut failures = AcceptFailures::default();
        for _ in 0..3 {
            failures.record(&Errno::EMFILE.into());
            tokio::time::advance(Duration::from_millis(600)).await;
        }
        failures.recovered().await;
        assert_eq!(begun.elapsed(), Duration::from_millis(1200) + RECOVERY);
        assert_eq!(failures.failures, 3);
        failures.log_recovery();
        let waited = tokio::time::timeout(RECOVERY * 9, failures.recovered()).await;
        assert!(waited.is_err());
    }
}

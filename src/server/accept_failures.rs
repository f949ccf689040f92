//! Log of failing accept(2): one line for the first failure and one for the recovery, for any number of
//! failures in between.

use std::future::pending;
use std::io;
use std::time::Duration;

use nix::errno::Errno;
use tokio::time::{Instant, sleep_until};

/// Time without a failure that counts as recovery. A process at its limit accepts a connection now and then.
const RECOVERY: Duration = Duration::from_secs(1);

/// Failures of accept(2) for lack of descriptors or memory.
#[derive(Debug, Default)]
pub(super) struct AcceptFailures {
    /// The last failure.
    failed: Option<Instant>,
    failures: u64,
}

impl AcceptFailures {
    /// Counts a failure, and logs the first.
    pub(super) fn record(&mut self, error: &io::Error) {
        if self.failed.replace(Instant::now()).is_none() {
            let advice = match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EMFILE) => {
                    ": limit on open files reached (ulimit -Hn, LimitNOFILE= of systemd, or a lower server.limits.connections)"
                }
                Some(Errno::ENFILE) => ": system limit on open files reached (fs.file-max)",
                Some(_) | None => "",
            };
            tracing::error!(%error, "cannot accept connections, they wait in the backlog{advice}");
        }
        self.failures += 1;
    }

    /// Waits until nothing has failed for [`RECOVERY`]; for ever without a failure.
    pub(super) async fn recovered(&self) {
        match self.failed {
            Some(failed) => sleep_until(failed + RECOVERY).await,
            None => pending().await,
        }
    }

    /// Logs the recovery and resets the count.
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

//! Open files: how many clients may hold of them, so that what their requests need can be opened: connections to PHP,
//! files, spooled content, and the admin listener's.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::thread::available_parallelism;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::time::{Instant, sleep};

use super::shared::Shared;
use crate::site::Snapshot;

/// What the process has open by itself: its streams, signals, logs, the admin listener and its connections.
const OWN: u64 = 32;

/// What a thread that serves has open.
const EACH_THREAD: u64 = 8;

/// Files with spooled content that are counted on.
const SPOOLED: u64 = 64;

/// What `server.file_cache` counts an open file for at least, in bytes.
const CACHED_FILE: u64 = 16 * 1024;

/// How a limit is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shares {
    connections: u64,
    cached: u64,
    /// From this descriptor on nothing is accepted any more.
    ceiling: u64,
}

/// Raises the soft limit on open files, which is for programs that use select(2), to the hard one; lowers what clients and
/// the file cache may hold to what that has room for, and says so. Returns the first descriptor that is kept from clients.
pub(super) fn fit(snapshot: &mut Snapshot) -> RawFd {
    let limit = match raise() {
        Ok(limit) => limit,
        Err(error) => {
            tracing::warn!(%error, "the limit on open files could not be raised");
            return RawFd::MAX;
        }
    };
    let cached = snapshot.server.file_cache / CACHED_FILE;
    let shares = share_out(limit, own(snapshot), cached);
    let settings = &mut snapshot.server;
    settings.file_cache = settings
        .file_cache
        .min(shares.cached.saturating_mul(CACHED_FILE));
    let asked = settings.limits.connections;
    let connections = usize::try_from(shares.connections).unwrap_or(usize::MAX);
    if connections < asked {
        settings.limits.connections = connections;
        tracing::warn!(
            limit,
            connections,
            "fewer files may be open than server.limits.connections = {asked} and their requests need: lowered. Raise the limit (ulimit -Hn, LimitNOFILE= of systemd)"
        );
    }
    RawFd::try_from(shares.ceiling).unwrap_or(RawFd::MAX)
}

fn raise() -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// Between two looks whether files were closed.
const PAUSE: Duration = Duration::from_millis(10);

/// What the process has open by itself.
fn own(snapshot: &Snapshot) -> u64 {
    let threads = match snapshot.server.workers {
        0 => available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    OWN + EACH_THREAD * count(threads) + count(snapshot.listeners.len())
}

/// At most half is for other things than clients. A connection is counted twice: its request has a file open, or a
/// connection to PHP.
fn share_out(limit: u64, own: u64, cached: u64) -> Shares {
    let cached = cached.min(limit / 8);
    let kept = (own + cached + SPOOLED.min(limit / 16)).min(limit / 2);
    Shares {
        connections: ((limit - kept) / 2).max(1),
        cached,
        ceiling: limit - limit / 8,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Returns when so few files are open again that another connection may be; meanwhile some are given up. The kernel gives
/// out the lowest descriptor that is free (open(2)): at least as many as its number says are in use.
pub(super) async fn relieved(shared: &Shared, any: impl AsFd) {
    if let Some(left_out) = shared.crowded.is_due(Instant::now()) {
        tracing::warn!(
            left_out,
            "no connection is accepted: what files may still be open is kept for requests (ulimit -Hn, LimitNOFILE= of systemd, or a lower server.limits.connections)"
        );
    }
    loop {
        shared.disk.make_room();
        shared.state.evictions.evict_one(Instant::now());
        sleep(PAUSE).await;
        let lowest = any.as_fd().try_clone_to_owned();
        if lowest.is_ok_and(|lowest| lowest.as_raw_fd() < shared.ceiling) {
            shared.state.evictions.withdraw_request();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_requests_need_is_kept_from_clients() {
        let shares = |connections, cached, ceiling| Shares {
            connections,
            cached,
            ceiling,
        };
        for (limit, own, expected) in [
            (1 << 20, 50, shares(523_719, 1024, 917_504)),
            (4096, 50, shares(1735, 512, 3584)),
            (1024, 50, shares(391, 128, 896)),
            (64, 50, shares(16, 8, 56)),
            (2, 50, shares(1, 0, 2)),
        ] {
            assert_eq!(share_out(limit, own, 1024), expected, "{limit}");
        }
    }
}

//! Open files (RLIMIT_NOFILE): clients hold a part of them, the rest is kept for connections to PHP, files, spooled
//! content and the admin listener.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::time::{Instant, sleep};

use super::shared::Shared;
use crate::site::Snapshot;
use crate::threads::processors;

/// Descriptors of the process itself: its streams, signals, logs, the admin listener and its connections.
const OWN: u64 = 32;

/// Descriptors of each serving thread.
const EACH_THREAD: u64 = 8;

/// Descriptors kept for spooled content.
const SPOOLED: u64 = 64;

/// Least weight of an open file in `server.file_cache`, in bytes.
const CACHED_FILE: u64 = 16 * 1024;

/// Parts of the limit on open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shares {
    connections: u64,
    cached: u64,
    /// The first descriptor at which accepting pauses.
    ceiling: u64,
}

/// Raises the soft limit on open files, which exists for programs with select(2), to the hard one. Lowers
/// `limits.connections` and `file_cache` to that limit, and logs it. Returns the first descriptor that clients may not have.
pub(super) fn apply_limit(snapshot: &mut Snapshot) -> RawFd {
    let limit = match raise_soft_limit() {
        Ok(limit) => limit,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit on open files (RLIMIT_NOFILE)");
            return RawFd::MAX;
        }
    };
    let cached = snapshot.server.file_cache / CACHED_FILE;
    let shares = share_out(limit, own_descriptors(snapshot), cached);
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
            "the limit on open files is too low for server.limits.connections = {asked}: connections lowered. Raise the limit (ulimit -Hn, LimitNOFILE= of systemd)"
        );
    }
    RawFd::try_from(shares.ceiling).unwrap_or(RawFd::MAX)
}

/// Raises RLIMIT_NOFILE; returns the hard limit.
fn raise_soft_limit() -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// Pause between two checks for closed files.
const PAUSE: Duration = Duration::from_millis(10);

/// Returns the number of descriptors that the process needs without clients.
fn own_descriptors(snapshot: &Snapshot) -> u64 {
    let threads = match snapshot.server.workers {
        0 => processors(),
        workers => workers,
    };
    let files = snapshot.listeners.len() + snapshot.logs.files().count();
    OWN + EACH_THREAD * count(threads) + count(files)
}

/// Divides `limit`: at most half is kept from clients. A connection counts twice, as its request opens a file or a
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

/// Waits until a descriptor below the ceiling is free, and closes cached files and idle connections meanwhile. The kernel
/// assigns the lowest free descriptor (open(2)), so all below it are in use.
pub(super) async fn wait_below_ceiling(shared: &Shared, any: impl AsFd) {
    if let Some(left_out) = shared.throttle.admit(Instant::now()) {
        tracing::warn!(
            left_out,
            "no connection is accepted: the remaining file descriptors are kept for requests (ulimit -Hn, LimitNOFILE= of systemd, or a lower server.limits.connections)"
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
    fn descriptors_are_kept_for_requests() {
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

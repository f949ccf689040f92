//! Open files: how many clients may hold of them, so that what their requests need can be opened: connections to PHP,
//! files, spooled content, and the admin listener's.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::thread::available_parallelism;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::time::{Instant, sleep};

use super::Shared;
use super::places::RETRY;
use crate::config::Snapshot;

/// What the process has open by itself: its streams, signals, logs, the admin listener and its connections.
const OWN: u64 = 32;

/// What a thread that serves has open.
const EACH_THREAD: u64 = 8;

/// Connections to each upstream that are counted on where `capacity` does not say it.
const EACH_UPSTREAM: u64 = 128;

/// Files with spooled content that are counted on.
const SPOOLED: u64 = 64;

/// What `server.file_cache` counts an open file for at least, in bytes.
const CACHED_FILE: u64 = 16 * 1024;

/// What is counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needs {
    own: u64,
    upstreams: u64,
    cached: u64,
}

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
    let shares = share_out(limit, needs(snapshot));
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

fn needs(snapshot: &Snapshot) -> Needs {
    let threads = match snapshot.server.workers {
        0 => available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let own = OWN + EACH_THREAD * count(threads) + count(snapshot.listeners.len());
    let upstreams = snapshot.upstreams().into_iter().map(|upstream| {
        let servers = count(upstream.servers().len().max(1));
        match u64::try_from(snapshot.capacity(&upstream)) {
            Ok(0) | Err(_) => EACH_UPSTREAM,
            Ok(capacity) => capacity * servers,
        }
    });
    Needs {
        own,
        upstreams: upstreams.sum(),
        cached: snapshot.server.file_cache / CACHED_FILE,
    }
}

/// At most half is kept for requests, and of that a quarter for those of the connections that are there.
fn share_out(limit: u64, needs: Needs) -> Shares {
    let cached = needs.cached.min(limit / 8);
    let wanted = needs.own + needs.upstreams.min(limit / 4) + cached + SPOOLED.min(limit / 16);
    let kept = wanted.min(limit / 2);
    Shares {
        connections: (limit - kept).max(1),
        cached,
        ceiling: limit - kept / 4,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Returns when so few files are open again that another connection may be; meanwhile some are given up. The kernel gives
/// out the lowest descriptor that is free (open(2)), so that its number tells how many are in use.
pub(super) async fn relieved(shared: &Shared, any: impl AsFd) {
    if let Some(left_out) = shared.crowded.is_due(Instant::now()) {
        tracing::warn!(
            left_out,
            "no connection is accepted: what files may still be open is kept for requests (ulimit -Hn, LimitNOFILE= of systemd, or a lower server.limits.connections)"
        );
    }
    loop {
        shared.disk.make_room();
        shared.state.room.make(Instant::now());
        sleep(RETRY).await;
        let lowest = any.as_fd().try_clone_to_owned();
        if lowest.is_ok_and(|lowest| lowest.as_raw_fd() < shared.ceiling) {
            shared.state.room.is_made();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_requests_need_is_kept_from_clients() {
        let needs = |own, upstreams, cached| Needs {
            own,
            upstreams,
            cached,
        };
        let shares = |connections, cached, ceiling| Shares {
            connections,
            cached,
            ceiling,
        };
        for (limit, asked, expected) in [
            (1 << 20, needs(50, 128, 1024), shares(1_047_310, 1024, 1_048_260)),
            (1024, needs(50, 128, 1024), shares(654, 128, 932)),
            (1024, needs(50, 9000, 1024), shares(526, 128, 900)),
            (64, needs(50, 128, 1024), shares(32, 8, 56)),
            (2, needs(50, 128, 0), shares(1, 0, 2)),
        ] {
            assert_eq!(share_out(limit, asked), expected, "{limit} {asked:?}");
        }
    }
}

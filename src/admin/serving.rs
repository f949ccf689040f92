//! The accept loop, and one request on each connection.

use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use super::host_check::HostCheck;
use super::listener::{AdminListener, Peer};
use super::places::{Phase, Place, Places};
use super::{Admin, router};
use crate::stream::Stream;

/// Pause after accept(2) failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until another server `replaces` this one, else until the process ends, also during the drain. `hosts` are the
/// names allowed on TCP.
pub async fn serve(
    listener: AdminListener,
    hosts: Vec<String>,
    admin: Arc<Admin>,
    replaces: CancellationToken,
) {
    let host_check = Arc::new(if listener.is_tcp() {
        HostCheck::Tcp(hosts)
    } else {
        HostCheck::Unix
    });
    let places = Places::default();
    while let Some(accepted) = replaces.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => spawn_connection(&places, stream, peer, (&admin, &host_check)),
            Err(error) if admin.reserve.release_one(&error) => {}
            Err(error) => {
                tracing::debug!(%error, "the admin listener cannot accept connections");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Serves a connection in a task of its own; closes it if all places are taken by requests at work.
fn spawn_connection(
    places: &Places,
    stream: Stream,
    peer: Peer,
    (admin, host_check): (&Arc<Admin>, &Arc<HostCheck>),
) {
    let Some(place) = places.take(peer) else {
        tracing::debug!("admin connection closed: all places are taken");
        return;
    };
    let number = place.number();
    let served = serve_connection(stream, place, Arc::clone(admin), Arc::clone(host_check));
    let task = admin.state.answering.spawn(served);
    places.hold(number, task.abort_handle());
}

async fn serve_connection(
    stream: Stream,
    place: Place,
    admin: Arc<Admin>,
    host_check: Arc<HostCheck>,
) {
    // Dropped after the connection is closed, also if the task is aborted.
    let _refill = Refill(Arc::clone(&admin));
    let phase = place.phase();
    let answer = service_fn(|request| {
        let (admin, host_check, phase) = (
            Arc::clone(&admin),
            Arc::clone(&host_check),
            Arc::clone(&phase),
        );
        async move {
            phase.send_replace(Phase::Working);
            let answer = router::answer(&admin, &host_check, request).await;
            phase.send_replace(Phase::Sending);
            answer
        }
    });
    let served = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::debug!(%error, "admin connection ended with an error");
        },
        phase = place.overdue() => tracing::debug!(?phase, "admin connection closed: phase exceeded its time limit"),
    }
}

/// Guard that refills the reserve when a connection has ended.
struct Refill(Arc<Admin>);

impl Drop for Refill {
    fn drop(&mut self) {
        self.0.reserve.refill();
    }
}

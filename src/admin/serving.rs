//! Accepting, and one request on each connection.

use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::{Duration, sleep};

use super::host_check::HostCheck;
use super::listener::{AdminListener, Peer};
use super::places::{Phase, Place, Places};
use super::{Admin, router};
use crate::stream::Stream;

/// The pause after accepting failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until the process ends, through the drain too. On TCP `hosts` are names that it may be called.
pub async fn serve(listener: AdminListener, hosts: Vec<String>, admin: Arc<Admin>) {
    let host_check = Arc::new(match listener.is_tcp() {
        true => HostCheck::Tcp(hosts),
        false => HostCheck::Unix,
    });
    let places = Places::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => begin(&places, stream, peer, (&admin, &host_check)),
            Err(error) if admin.reserve.release_one(&error) => {}
            Err(error) => {
                tracing::debug!(%error, "the admin listener could not accept");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Serves a connection in a task of its own; it is closed where all places are taken by requests at work.
fn begin(
    places: &Places,
    stream: Stream,
    peer: Peer,
    (admin, host_check): (&Arc<Admin>, &Arc<HostCheck>),
) {
    let Some(place) = places.take(peer) else {
        tracing::debug!("an admin connection was closed: all others are at work");
        return;
    };
    let number = place.number();
    let connection = connection(stream, place, Arc::clone(admin), Arc::clone(host_check));
    places.hold(number, tokio::spawn(connection).abort_handle());
}

async fn connection(stream: Stream, place: Place, admin: Arc<Admin>, host_check: Arc<HostCheck>) {
    // Dropped after the connection is closed, also where the task is ended.
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
            tracing::debug!(%error, "an admin connection ended");
        },
        phase = place.overdue() => tracing::debug!(?phase, "an admin connection was too slow"),
    }
}

/// Takes back what was given to the kernel for a connection that has ended.
struct Refill(Arc<Admin>);

impl Drop for Refill {
    fn drop(&mut self) {
        self.0.reserve.refill();
    }
}

//! Scouts: connections that carry nothing but a probe and find a free worker for the queue; and
//! how it is found out what a server does with a probe (design §4.1).

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::io::read_buf;

use super::admission::Class;
use super::lease::Lease;
use crate::fastcgi::decoder::{Decoder, Event};
use crate::fastcgi::management::PROBE;

/// How long an unknown server may take to answer a probe before it counts as silent. A saturated
/// PHP-FPM is silent too: it is told apart later, by its first late answer.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a scout waits for one acknowledgement before it tries anew: a connection that a
/// network forgot must not occupy a scout's place for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connects, waits for a worker, and hands it to the head of the queue; gives up when nobody
/// waits any more.
pub(super) async fn run(mut lease: Lease) {
    let member = std::sync::Arc::clone(lease.member());
    let wanted = || member.is_waited_for().then(|| Instant::now() + PATIENCE);
    while wanted().is_some() {
        match member.connect(wanted).await {
            Ok(connection) => lease.set_connection(Some(connection)),
            Err(error) => {
                // The next scout, if one is wanted, must not come at once.
                pause().await;
                return member.give_up(&error);
            }
        }
        if member.class() == Class::Unknown {
            classify(&mut lease).await;
        } else {
            acknowledge(&mut lease).await;
        }
        match member.class() {
            // Also where another connection has made the class doubtful meanwhile.
            Class::Kept | Class::Unknown if lease.is_open() => return lease.pass_on(),
            Class::Kept | Class::Unknown => pause().await,
            // Nothing acknowledges: the head of the queue opens a connection itself.
            Class::Closes | Class::Silent(_) => return,
        }
    }
}

/// Between two attempts at a server that accepts and hangs up.
pub(super) async fn pause() {
    sleep(Duration::from_millis(5)).await;
}

/// Finds out what the server does with a probe, on a new connection. Afterwards the member's
/// class is known; the connection is still there where it can be used.
pub(super) async fn classify(lease: &mut Lease) {
    let begun = Instant::now();
    let class = match timeout(SILENCE, probe(lease)).await {
        Err(_) => Class::Silent(false),
        Ok(Err(error)) => {
            // A proxy whose own server is gone accepts and hangs up: it is as good as down.
            lease
                .member()
                .has_misbehaved(&format_args!("the probe was not answered: {error}"));
            Class::Unknown
        }
        Ok(Ok(is_fpm)) => {
            let took = begun.elapsed();
            // PHP without the fix of bug 76922 hangs up now.
            match timeout(SILENCE, probe(lease)).await {
                Ok(Ok(_)) => {
                    lease.acknowledge(took);
                    lease.member().set_fpm(is_fpm);
                    lease.member().classify(Class::Kept);
                    return;
                }
                Ok(Err(_)) | Err(_) => Class::Closes,
            }
        }
    };
    lease.member().classify(class);
    lease.set_connection(None);
}

async fn acknowledge(lease: &mut Lease) {
    let begun = Instant::now();
    match timeout(PATIENCE, probe(lease)).await {
        Ok(Ok(_)) => lease.acknowledge(begun.elapsed()),
        Ok(Err(_)) | Err(_) => lease.set_connection(None),
    }
}

/// Sends a probe and waits for its answer: whether it is PHP-FPM's, which alone says nothing of
/// FCGI_MAX_CONNS (php-fpm-facts no. 2).
async fn probe(lease: &mut Lease) -> io::Result<bool> {
    lease.write_all(PROBE).await?;
    let mut decoder = Decoder::new();
    let mut input = BytesMut::new();
    loop {
        match decoder.next(&mut input).map_err(io::Error::other)? {
            Some(Event::Values(values)) if input.is_empty() && decoder.is_between_records() => {
                return Ok(values.is_empty());
            }
            Some(Event::Values(_)) => {}
            Some(Event::Stdout(_) | Event::Stderr(_) | Event::End { .. }) => {
                return Err(io::ErrorKind::InvalidData.into());
            }
            None if read_buf(lease, &mut input).await? == 0 => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            None => {}
        }
    }
}

//! Scouts: connections that carry nothing but a probe and find a free worker for the queue; and the detection of a
//! server's reaction to a probe.

use std::io;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::select;
use tokio::time::{Instant, sleep, timeout};

use super::admission::Class;
use super::inquiry::{Inquiry, Reaction, inquire};
use super::lease::Lease;
use super::member::Member;
use crate::threads;

/// Time for an unknown server to answer a probe before a second connection tests whether it knows probes at all. It
/// may as well be busy: the answer proves which.
const SILENCE: Duration = Duration::from_secs(1);

/// Time limit of one acknowledgement, after which a scout reconnects: a connection that a network forgot must not
/// occupy a scout's place for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first pause after a connection that was closed without an answer; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause, for a known server.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The pause after an unknown server closed the connection: the verdict then takes one second, which a restart behind
/// a proxy may take.
const UNKNOWN_PAUSE: Duration = Duration::from_millis(500);

/// The number of connections closed without a byte within [`WINDOW`] that is a verdict.
const HANG_UPS: usize = 3;
const WINDOW: Duration = Duration::from_secs(5);

/// Connects, waits for a worker, and hands it to the head of the queue; ends when the queue is empty.
async fn run(mut lease: Lease) {
    let member = Arc::clone(lease.member());
    let wanted = || member.is_waited_for().then(|| Instant::now() + PATIENCE);
    let mut pause = FIRST_PAUSE;
    while wanted().is_some() {
        match member.connect(wanted).await {
            Ok(connection) => lease.set_connection(Some(connection)),
            Err(error) => {
                // Delays the next scout, if one is wanted.
                sleep(FIRST_PAUSE).await;
                return member.fail_waiting(&error);
            }
        }
        if member.class() == Class::Unknown {
            classify(&mut lease).await;
        } else {
            acknowledge(&mut lease).await;
        }
        match member.class() {
            // Without acknowledgements the head of the queue opens a connection itself.
            Class::Closes | Class::Silent => return,
            // Also if another connection has reset the class meanwhile.
            Class::Kept | Class::Multiplexed | Class::Unknown if lease.is_open() => {
                return lease.pass_on();
            }
            Class::Unknown => sleep(UNKNOWN_PAUSE).await,
            Class::Kept | Class::Multiplexed => {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Detects the server's reaction to a probe, on a new connection. Afterwards the member's class, or the fault that
/// hides it, is known; the connection is kept if it can be used.
pub(super) async fn classify(lease: &mut Lease) {
    let begun = Instant::now();
    let member = Arc::clone(lease.member());
    let class = match detect(lease, &member).await {
        Reaction::Acknowledged(values) => {
            let took = begun.elapsed();
            match serves_on(lease).await {
                Some(true) => {
                    member.set_fpm(values.is_fpm);
                    lease.acknowledge(took);
                    return member.classify(Class::of(values));
                }
                Some(false) => Class::Closes,
                None => Class::Unknown,
            }
        }
        Reaction::Unacknowledged => Class::Silent,
        Reaction::HungUp(error) => member.record_hang_up(&error),
        Reaction::Foreign(error) => {
            member.refuse(&format!("it does not speak FastCGI: {error}"));
            Class::Unknown
        }
    };
    lease.set_connection(None);
    member.classify(class);
}

/// Sends a probe; if no answer comes for a while, or one without values, a second connection requests a role too.
async fn detect(lease: &mut Lease, member: &Arc<Member>) -> Reaction {
    let mut probe = pin!(inquire(lease, Inquiry::Probe));
    let delayed_role = async {
        sleep(SILENCE).await;
        tracing::debug!(address = %member.address(), "no answer to a probe within {SILENCE:?}: a second connection tests whether the server knows probes");
        inquire_role(member).await
    };
    let mut role = pin!(delayed_role);
    let found = select! {
        biased;
        reaction = &mut probe => reaction,
        reaction = &mut role => match reaction {
            // The server is busy: a worker will come.
            Some(Reaction::Acknowledged(_)) | None => probe.await,
            Some(reaction) => return reaction,
        },
    };
    match found {
        Reaction::Unacknowledged => inquire_role(member).await.unwrap_or(found),
        Reaction::Acknowledged(_) | Reaction::HungUp(_) | Reaction::Foreign(_) => found,
    }
}

/// Requests a role on a connection of its own, outside the account; `None` if connecting fails.
async fn inquire_role(member: &Arc<Member>) -> Option<Reaction> {
    let mut connection = member.try_connect().await.ok()?;
    Some(inquire(connection.get_mut()?, Inquiry::Role).await)
}

/// Reports whether the connection survives a probe; PHP without the fix of bug 76922 closes it. `None` is undecided.
async fn serves_on(lease: &mut Lease) -> Option<bool> {
    match timeout(PATIENCE, inquire(lease, Inquiry::Probe)).await {
        Ok(Reaction::Acknowledged(_)) => Some(true),
        Ok(Reaction::HungUp(_)) => Some(false),
        Ok(Reaction::Unacknowledged | Reaction::Foreign(_)) | Err(_) => None,
    }
}

async fn acknowledge(lease: &mut Lease) {
    let begun = Instant::now();
    match timeout(PATIENCE, inquire(lease, Inquiry::Probe)).await {
        Ok(Reaction::Acknowledged(_)) => lease.acknowledge(begun.elapsed()),
        Ok(Reaction::Unacknowledged | Reaction::HungUp(_) | Reaction::Foreign(_)) | Err(_) => {
            lease.set_connection(None);
        }
    }
}

impl Member {
    /// Opens as many scouts as the queue needs. None on a thread that is ending: the scout would be torn down at
    /// once, make room by that, and be started again.
    pub(super) fn send_scouts(self: &Arc<Self>) {
        while !threads::is_ending() {
            let slot = self.account().scout(Instant::now());
            let Some(slot) = slot else { return };
            tokio::spawn(run(Lease::opening(self, slot)));
        }
    }

    /// Records a connection closed without a byte by an unknown server, and returns the class that follows: the
    /// server counts as down until repeated closes are a verdict.
    fn record_hang_up(&self, error: &io::Error) -> Class {
        let now = Instant::now();
        let is_verdict = {
            // A poisoned lock guards a list that is valid at every moment.
            let mut hang_ups = self.hang_ups.lock().unwrap_or_else(PoisonError::into_inner);
            hang_ups.retain(|at| now - *at < WINDOW);
            hang_ups.push(now);
            hang_ups.len() >= HANG_UPS
        };
        match (is_verdict, self.is_generic.load(Ordering::Relaxed)) {
            (false, _) => Class::Unknown,
            // `type = "generic"`: used without probes.
            (true, true) => Class::Silent,
            (true, false) => {
                self.refuse(&format!(
                    "it closes connections without an answer ({error}): not FastCGI, or an application without \
                     FCGI_GET_VALUES, which needs `type = \"generic\"`"
                ));
                Class::Unknown
            }
        }
    }
}

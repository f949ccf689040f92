//! Scouts: connections that carry nothing but a probe and find a free worker for the queue; and
//! how it is found out what a server does with a probe.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::time::{Instant, sleep, timeout};

use super::admission::Class;
use super::inquiry::{Finding, Question, ask};
use super::lease::Lease;
use super::member::Member;
use crate::fastcgi::management::Values;

/// How long an unknown server may take to answer a probe before another connection asks whether it knows probes
/// at all. It may as well be busy: what is asked proves which.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a scout waits for one acknowledgement before it tries anew: a connection that a
/// network forgot must not occupy a scout's place for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first pause after a connection that was closed without an answer; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest, for a server that is known.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The pause where an unknown server hung up: so the verdict comes after one second, which a restart
/// behind a proxy may take.
const UNKNOWN_PAUSE: Duration = Duration::from_millis(500);

/// So many connections that are closed without a word within [`WINDOW`] are a verdict.
const HANG_UPS: usize = 3;
const WINDOW: Duration = Duration::from_secs(5);

/// Why a server cannot be used though it can be connected to.
#[derive(Clone, Debug)]
pub(super) struct Verdict(pub(super) Arc<str>);

/// Connects, waits for a worker, and hands it to the head of the queue; gives up when nobody
/// waits any more.
pub(super) async fn run(mut lease: Lease) {
    let member = Arc::clone(lease.member());
    let wanted = || member.is_waited_for().then(|| Instant::now() + PATIENCE);
    let mut pause = FIRST_PAUSE;
    while wanted().is_some() {
        match member.connect(wanted).await {
            Ok(connection) => lease.set_connection(Some(connection)),
            Err(error) => {
                // The next scout, if one is wanted, must not come at once.
                sleep(FIRST_PAUSE).await;
                return member.give_up(&error);
            }
        }
        if member.class() == Class::Unknown {
            classify(&mut lease).await;
        } else {
            acknowledge(&mut lease).await;
        }
        match member.class() {
            // Nothing acknowledges: the head of the queue opens a connection itself.
            Class::Closes | Class::Silent => return,
            // Also where another connection has made the class doubtful meanwhile.
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

/// Finds out what the server does with a probe, on a new connection. Afterwards the member's
/// class is known, or why it cannot be; the connection is still there where it can be used.
pub(super) async fn classify(lease: &mut Lease) {
    let begun = Instant::now();
    let member = Arc::clone(lease.member());
    let class = match find(lease, &member).await {
        Finding::Acknowledged(values) => {
            let took = begun.elapsed();
            match serves_on(lease).await {
                Some(true) => {
                    member.set_fpm(values.is_fpm);
                    lease.acknowledge(took);
                    return member.classify(class_of(values));
                }
                Some(false) => Class::Closes,
                None => Class::Unknown,
            }
        }
        Finding::Unacknowledged => Class::Silent,
        Finding::HungUp(error) => member.has_hung_up(&error),
        Finding::Foreign(error) => {
            member.refuse(&format!("it does not speak FastCGI: {error}"));
            Class::Unknown
        }
    };
    lease.set_connection(None);
    member.classify(class);
}

/// Returns what a server is that answered with `values` and serves on.
pub(super) fn class_of(values: Values) -> Class {
    match values.multiplexes {
        true => Class::Multiplexed,
        false => Class::Kept,
    }
}

/// Asks by a probe; where it is not answered for a while, or not by values, a second connection asks for a role too.
async fn find(lease: &mut Lease, member: &Arc<Member>) -> Finding {
    let mut probe = pin!(ask(lease, Question::Probe));
    let role = async {
        sleep(SILENCE).await;
        tracing::debug!(address = %member.address(), "no answer to a probe for {SILENCE:?}: another connection asks whether it knows probes");
        ask_for_a_role(member).await
    };
    let mut role = pin!(role);
    let found = select! {
        biased;
        finding = &mut probe => finding,
        finding = &mut role => match finding {
            // It is busy: a worker will come.
            Some(Finding::Acknowledged(_)) | None => probe.await,
            Some(finding) => return finding,
        },
    };
    match found {
        Finding::Unacknowledged => ask_for_a_role(member).await.unwrap_or(found),
        Finding::Acknowledged(_) | Finding::HungUp(_) | Finding::Foreign(_) => found,
    }
}

/// Asks on a connection of its own, which is no part of the account; `None` where there is none to be had.
async fn ask_for_a_role(member: &Arc<Member>) -> Option<Finding> {
    let mut connection = member.try_connect().await.ok()?;
    Some(ask(connection.get_mut()?, Question::Role).await)
}

/// Returns whether the connection goes on behind a probe; PHP without the fix of bug 76922 hangs up. `None` is neither.
async fn serves_on(lease: &mut Lease) -> Option<bool> {
    match timeout(PATIENCE, ask(lease, Question::Probe)).await {
        Ok(Finding::Acknowledged(_)) => Some(true),
        Ok(Finding::HungUp(_)) => Some(false),
        Ok(Finding::Unacknowledged | Finding::Foreign(_)) | Err(_) => None,
    }
}

async fn acknowledge(lease: &mut Lease) {
    let begun = Instant::now();
    match timeout(PATIENCE, ask(lease, Question::Probe)).await {
        Ok(Finding::Acknowledged(_)) => lease.acknowledge(begun.elapsed()),
        Ok(Finding::Unacknowledged | Finding::HungUp(_) | Finding::Foreign(_)) | Err(_) => {
            lease.set_connection(None);
        }
    }
}

impl Member {
    /// An unknown server has closed a connection without a word: it is as good as down, until it has
    /// done so again and again. Returns the class that follows.
    fn has_hung_up(&self, error: &io::Error) -> Class {
        let now = Instant::now();
        let (is_verdict, is_generic) = {
            let mut condition = self.condition();
            condition.hang_ups.retain(|at| now - *at < WINDOW);
            condition.hang_ups.push(now);
            (condition.hang_ups.len() >= HANG_UPS, condition.is_generic)
        };
        match (is_verdict, is_generic) {
            (false, _) => Class::Unknown,
            // Told so, it is used as it is.
            (true, true) => Class::Silent,
            (true, false) => {
                self.refuse(&format!(
                    "it accepts connections and hangs up without an answer ({error}): no FastCGI, or an application that \
                     knows no FCGI_GET_VALUES, for which `type = \"generic\"` is to be set"
                ));
                Class::Unknown
            }
        }
    }
}

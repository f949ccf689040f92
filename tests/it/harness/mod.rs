//! What the tests are made with: the programs under test and around it, each started for one test and gone with it,
//! and the clients that talk to them.

pub(crate) mod address;
pub(crate) mod apache;
pub(crate) mod application;
pub(crate) mod attackers;
pub(crate) mod bystander;
pub(crate) mod cage;
pub(crate) mod devtools;
pub(crate) mod direct;
pub(crate) mod gateway;
pub(crate) mod h2_frames;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod lines;
pub(crate) mod load;
pub(crate) mod message;
pub(crate) mod php_fpm;
pub(crate) mod process;
pub(crate) mod records;
pub(crate) mod script;
pub(crate) mod scripted_responder;
pub(crate) mod setup;
pub(crate) mod tls;
pub(crate) mod webdriver;

pub(crate) use address::Address;
pub(crate) use direct::Direct;
pub(crate) use gateway::Gateway;
pub(crate) use http1::Connection;
pub(crate) use load::{Clients, Tally};
pub(crate) use message::{Content, Request, Response};
pub(crate) use php_fpm::PhpFpm;
pub(crate) use script::{Gate, Script};
pub(crate) use scripted_responder::ScriptedResponder;
pub(crate) use setup::{Backend, Files, GatewaySetup};

use std::time::Duration;

/// How long a test waits for something that must happen, in total, before it gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a test waits for a line in a log.
pub(crate) const LOG_PATIENCE: Duration = Duration::from_secs(10);

/// Awaits `future`, and fails the test with `what` when it takes longer than [`PATIENCE`].
pub(crate) async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// Looks again and again until the condition holds, and returns what it then has: for what nothing announces. When
/// `bound` is over, the test fails with `what` was awaited and what was last seen.
pub(crate) async fn eventually<C: Condition>(
    what: &str,
    bound: Duration,
    mut look: impl AsyncFnMut() -> C,
) -> C::Value {
    let mut last = None;
    let looking = async {
        loop {
            match look().await.judge() {
                Ok(value) => return value,
                Err(seen) => last = Some(seen),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(bound, looking).await {
        Ok(value) => value,
        Err(_) => panic!("waited {bound:?} in vain: {what}; last seen: {last:?}"),
    }
}

/// How long [`eventually`] waits between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// What [`eventually`] looks at.
pub(crate) trait Condition {
    type Value;
    type Seen: std::fmt::Debug;

    /// Returns a value if it holds, and else what is there.
    fn judge(self) -> Result<Self::Value, Self::Seen>;
}

impl Condition for bool {
    type Value = ();
    type Seen = Self;

    fn judge(self) -> Result<(), Self> {
        if self { Ok(()) } else { Err(self) }
    }
}

impl<T, S: std::fmt::Debug> Condition for Result<T, S> {
    type Value = T;
    type Seen = S;

    fn judge(self) -> Self {
        self
    }
}

/// Returns `value` as a condition: whether `holds` is true of it.
pub(crate) fn require<T>(value: T, holds: impl FnOnce(&T) -> bool) -> Result<T, T> {
    if holds(&value) { Ok(value) } else { Err(value) }
}

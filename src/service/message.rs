//! Messages to the service manager (sd_notify(3)), as a function of the gateway's state and of what was sent before.

use std::fmt;
use std::time::Duration;

use sd_notify::NotifyState;
use serde::{Deserialize, Serialize};

/// State of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is served yet.
    Starting,
    /// Requests are served.
    Serving,
    /// The configuration is loaded again, or the program is being replaced.
    Reloading,
    /// Requests are finished, for at most this time.
    Stopping(Duration),
}

/// Load of the gateway, a part of the line that `systemctl status` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Open connections of clients.
    pub connections: u64,
    /// Requests since the start.
    pub requests: u64,
    /// Requests that wait for a worker.
    pub queued: u64,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            requests,
            queued,
        } = self;
        write!(
            f,
            "{connections} connections, {requests} requests, {queued} waiting"
        )
    }
}

/// State and status of the last message.
#[derive(Debug)]
pub(super) struct Announced {
    state: State,
    status: String,
}

impl Announced {
    pub(super) fn new() -> Self {
        Self {
            state: State::Starting,
            status: String::new(),
        }
    }

    /// Returns the message of a change to `state`, where the monotonic clock shows `now` in microseconds; empty if nothing
    /// has changed. After STOPPING a service is never ready again, and one that starts cannot reload.
    pub(super) fn change(&mut self, state: State, status: &str, now: i128) -> String {
        let mut lines = self.enter(state, now);
        let status = printable(status);
        if status != self.status {
            lines.push(NotifyState::Status(&status));
        }
        let text = message(&lines);
        self.status = status;
        text
    }

    fn enter(&mut self, state: State, now: i128) -> Vec<NotifyState<'static>> {
        let lines = match (self.state, state) {
            (State::Starting | State::Reloading, State::Serving) => vec![NotifyState::Ready],
            // A second reload during the first has to be confirmed by a later time.
            (State::Serving | State::Reloading, State::Reloading) => {
                vec![NotifyState::Reloading, NotifyState::MonotonicUsec(now)]
            }
            (State::Stopping(_), State::Stopping(limit)) => extension(limit),
            (_, State::Stopping(limit)) => {
                let mut lines = vec![NotifyState::Stopping];
                lines.extend(extension(limit));
                lines
            }
            (State::Stopping(_) | State::Starting, _)
            | (State::Serving, State::Serving)
            | (_, State::Starting) => return Vec::new(),
        };
        self.state = state;
        lines
    }
}

/// Returns the request for more time than TimeoutStopSec= of the unit.
fn extension(limit: Duration) -> Vec<NotifyState<'static>> {
    let limit = limit.saturating_add(EXIT).as_micros();
    vec![NotifyState::ExtendTimeoutUsec(
        u32::try_from(limit).unwrap_or(u32::MAX),
    )]
}

/// Returns the text of a message, a line for each part.
pub(super) fn message(lines: &[NotifyState<'_>]) -> String {
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Returns `text` as one line of bounded length.
fn printable(text: &str) -> String {
    let characters = text.chars().take(LONGEST);
    characters
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Time for the exit after the drain: the last lines of the logs, and programs that are stopped.
const EXIT: Duration = Duration::from_secs(10);

/// Longest status, in characters: a line of a terminal and a half.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: State = State::Stopping(Duration::from_secs(25));

    /// Checks the messages of a sequence of states; the clock shows the index.
    #[track_caller]
    fn check(sequence: &[(State, &str, &str)]) {
        let mut announced = Announced::new();
        for (index, (state, status, expected)) in sequence.iter().enumerate() {
            let now = i128::try_from(index).unwrap();
            let message = announced.change(*state, status, now).replace('\n', " ");
            assert_eq!(message, *expected, "{index}: {state:?}");
        }
    }

    #[test]
    fn a_life_is_announced() {
        check(&[
            (State::Starting, "loading", "STATUS=loading"),
            (State::Serving, "a", "READY=1 STATUS=a"),
            (State::Serving, "a", ""),
            (State::Serving, "b", "STATUS=b"),
            (
                State::Reloading,
                "c",
                "RELOADING=1 MONOTONIC_USEC=4 STATUS=c",
            ),
            (State::Serving, "a", "READY=1 STATUS=a"),
            (
                LIMIT,
                "d",
                "STOPPING=1 EXTEND_TIMEOUT_USEC=35000000 STATUS=d",
            ),
        ]);
    }

    #[test]
    fn a_reload_during_a_reload_is_confirmed() {
        check(&[
            (State::Serving, "", "READY=1"),
            (State::Reloading, "", "RELOADING=1 MONOTONIC_USEC=1"),
            (State::Reloading, "", "RELOADING=1 MONOTONIC_USEC=2"),
            (State::Serving, "", "READY=1"),
        ]);
    }

    #[test]
    fn what_stops_is_not_ready_again() {
        check(&[
            (State::Starting, "", ""),
            (State::Reloading, "", ""),
            (LIMIT, "", "STOPPING=1 EXTEND_TIMEOUT_USEC=35000000"),
            (State::Serving, "late", "STATUS=late"),
            (State::Reloading, "late", ""),
            (LIMIT, "late", "EXTEND_TIMEOUT_USEC=35000000"),
            (
                State::Stopping(Duration::MAX),
                "late",
                "EXTEND_TIMEOUT_USEC=4294967295",
            ),
        ]);
    }

    #[test]
    fn a_status_is_one_line() {
        let mut announced = Announced::new();
        let message = announced.change(State::Starting, "a\nREADY=1", 0);
        assert_eq!(message, "STATUS=a READY=1");
        let message = announced.change(State::Starting, &"é".repeat(1000), 0);
        assert_eq!(message, format!("STATUS={}", "é".repeat(LONGEST)));
        let load = Load {
            connections: 3,
            requests: 100,
            queued: 1,
        };
        assert_eq!(load.to_string(), "3 connections, 100 requests, 1 waiting");
    }
}

//! The life of servers: a state machine without I/O and clock.
//!
//! ```text
//!            ┌─ refused, ended: the request is refused ─┐
//! Loading ───┼─ granted, needs new rights ─► Starting ──┼─ serves ─► current, and the one before drains
//!            └─ granted, within the rights ► Swapping ──┴─ swapped: the current server has the configuration
//! ```

mod action;
mod candidate;
mod event;
mod loading;
mod stop;

use std::collections::VecDeque;
use std::mem::take;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::control::{Intent, Outcome};
use crate::process::BackOff;
pub(super) use action::{Action, Level};
use candidate::{Candidate, Stage};
pub(super) use event::{Event, Id, Origin, Request};

/// Limit of reloads that wait for another. Each reads all files.
const WAITING: usize = 8;

/// Limit of servers that drain after they were replaced. With more, the oldest has to end as on SIGTERM.
const DRAINING: usize = 8;

/// Exit code of a process ended by SIGTERM, as a shell shows it.
const INTERRUPTED: u8 = 128 + 15;

/// The servers.
#[derive(Debug, Default)]
pub(super) struct State {
    last: u32,
    current: Option<Id>,
    candidate: Option<Candidate>,
    /// Replaced servers, the oldest first.
    draining: Vec<Id>,
    /// Candidates that are not needed.
    leaving: Vec<Id>,
    waiting: VecDeque<Request>,
    back_off: BackOff,
    is_restart_due: bool,
    end: End,
    code: u8,
    /// Another program is about to take the place of this one: requests wait for it.
    is_executing: bool,
    has_served: bool,
    actions: Vec<Action>,
}

/// The servers, as one program leaves them to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Servers {
    /// Number of the last server.
    pub(super) last: u32,
    pub(super) current: Option<Id>,
    pub(super) draining: Vec<Id>,
    /// Requests that wait.
    pub(super) waiting: Vec<Request>,
}

/// Phase of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No server serves, at the start or after a crash.
    Starting,
    Serving,
    /// This server loads a configuration.
    Reloading(Id),
    Stopping,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    No,
    Draining,
    AtOnce,
}

impl State {
    /// Returns the state that the program before has left.
    pub(super) fn adopted(servers: Servers) -> Self {
        Self {
            last: servers.last,
            current: servers.current,
            draining: servers.draining,
            waiting: servers.waiting.into(),
            has_served: true,
            ..Self::default()
        }
    }

    /// Returns the state for another program. A server that is not needed drains at once.
    pub(super) fn servers(&self) -> Servers {
        let draining = self.draining.iter().chain(&self.leaving);
        Servers {
            last: self.last,
            current: self.current,
            draining: draining.copied().collect(),
            waiting: self.waiting.iter().copied().collect(),
        }
    }

    /// Returns the server that serves.
    pub(super) fn current(&self) -> Option<Id> {
        self.current
    }

    /// Reports whether the end has begun.
    pub(super) fn is_ending(&self) -> bool {
        self.end != End::No
    }

    /// Reports whether this server loads a configuration and is to send its grant. Only then it has no client yet.
    pub(super) fn expects_grant(&self, id: Id) -> bool {
        let candidate = self.candidate.as_ref();
        candidate.is_some_and(|it| it.id == id && it.stage == Stage::Loading)
    }

    /// Reports whether another program is about to take the place of this one.
    pub(super) fn is_executing(&self) -> bool {
        self.is_executing
    }

    /// Returns the phase for the service manager.
    pub(super) fn phase(&self) -> Phase {
        let loading = self.candidate.as_ref().filter(|candidate| {
            matches!(candidate.request.intent, Intent::Reload | Intent::Upgrade)
        });
        if self.end != End::No {
            Phase::Stopping
        } else if let Some(candidate) = loading {
            Phase::Reloading(candidate.id)
        } else if self.current.is_some() {
            Phase::Serving
        } else {
            Phase::Starting
        }
    }

    /// Handles an event, and returns its effects in their order.
    pub(super) fn on(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Begun => self.spawn(Request::of(Intent::Start)),
            Event::Asked(request) => self.ask(request),
            Event::Granted { id, beyond } => self.grant(id, beyond),
            Event::Unusable { id, why } => self.refuse(id, &why, true),
            Event::Refused(id, outline) => {
                let why = format!("the configuration is invalid\n{outline}");
                self.refuse(id, &why, false);
            }
            Event::Serving(id) => self.serve(id),
            Event::Swapped(id, outcome) => self.swapped(id, outcome),
            Event::Ended { id, how, code, ran } => self.ended(id, &how, code, ran),
            Event::Unstarted { id, why } => self.ended(id, &why, 1, Duration::ZERO),
            Event::Due => {
                self.is_restart_due = false;
                if self.current.is_none() && self.candidate.is_none() {
                    self.spawn(Request::of(Intent::Restart));
                }
            }
            Event::Adopted => {}
            Event::NotExecuted(why) => {
                self.is_executing = false;
                let text = format!(
                    "the parent cannot execute the new program, whose server serves: {why}"
                );
                self.push(Action::Log(Level::Error, text));
            }
            Event::Stop => self.stop(),
            Event::Overdue => self.kill(),
        }
        self.go_on();
        take(&mut self.actions)
    }

    fn ask(&mut self, request: Request) {
        if self.end != End::No {
            self.answer(request.origin, Err("the server is stopping".to_owned()));
        } else if self.waiting.len() >= WAITING {
            let why = format!("{WAITING} reloads are pending; try again");
            self.answer(request.origin, Err(why));
        } else if request.origin != Origin::Nobody || !self.waiting.contains(&request) {
            self.waiting.push_back(request);
        }
    }

    fn ended(&mut self, id: Id, how: &str, code: u8, ran: Duration) {
        if self.end == End::Draining && !self.leaving.contains(&id) {
            self.code = self.code.max(code);
        }
        self.draining.retain(|other| *other != id);
        self.leaving.retain(|other| *other != id);
        if self.current == Some(id) {
            self.current = None;
            if self.end == End::No {
                self.restart_later(how, ran);
                self.abandon_swap();
            }
        }
        if let Some(candidate) = self.candidate.take_if(|candidate| candidate.id == id) {
            self.candidate_ended(candidate, (how, code));
        }
    }

    fn restart_later(&mut self, how: &str, ran: Duration) {
        let pause = self.back_off.record_end_of_server(ran);
        let text = if self.back_off.is_loop() {
            format!(
                "the server ended: {how}. It ends again and again soon after its start; the next one starts in {pause:?}"
            )
        } else {
            format!(
                "the server ended: {how}. Another starts in {pause:?}; connections wait meanwhile"
            )
        };
        self.push(Action::Log(Level::Error, text));
        self.push(Action::RestartAfter(pause));
        self.is_restart_due = true;
    }

    /// Begins what can begin now.
    fn go_on(&mut self) {
        if self.end != End::No {
            let mut left = self
                .current
                .iter()
                .chain(&self.draining)
                .chain(&self.leaving);
            if left.next().is_none() && self.candidate.is_none() {
                self.push(Action::Finish {
                    code: self.code,
                    is_killing: self.end == End::AtOnce,
                });
            }
            return;
        }
        if self.candidate.is_some() || self.is_executing {
            return;
        }
        if self.current.is_some() {
            if let Some(request) = self.waiting.pop_front() {
                self.spawn(request);
            }
        } else if !self.is_restart_due {
            self.is_restart_due = true;
            self.push(Action::RestartAfter(Duration::ZERO));
        }
    }

    fn spawn(&mut self, request: Request) {
        self.last += 1;
        let id = Id(self.last);
        self.candidate = Some(Candidate {
            id,
            stage: Stage::Loading,
            request,
            beyond: Vec::new(),
        });
        self.push(Action::Spawn(id, request.intent));
    }

    fn answer(&mut self, origin: Origin, outcome: Outcome) {
        if origin != Origin::Nobody {
            self.push(Action::Answer(origin, outcome));
        }
    }

    fn push(&mut self, action: Action) {
        self.actions.push(action);
    }
}

#[cfg(test)]
mod tests;

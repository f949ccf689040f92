//! The life of servers: a state machine without I/O and clock.
//!
//! ```text
//!            ┌─ refused, ended: the request is refused ─┐
//! Loading ───┼─ granted, needs new rights ─► Starting ──┼─ serves ─► current, and the one before drains
//!            └─ granted, within the rights ► Swapping ──┴─ swapped: the current server has the configuration
//! ```

use std::collections::VecDeque;
use std::mem::take;
use std::time::Duration;

use crate::control::{Intent, Outcome};
use crate::process::BackOff;

/// Limit of reloads that wait for another. Each reads all files.
const WAITING: usize = 8;

/// Limit of servers that drain after they were replaced. With more, the oldest has to end as on SIGTERM.
const DRAINING: usize = 8;

/// Exit code of a process ended by SIGTERM, as a shell shows it.
const INTERRUPTED: u8 = 128 + 15;

/// Number of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) u32);

/// A request for a reload or an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) origin: Origin,
    pub(super) intent: Intent,
}

/// Origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A signal, or the watched files: nobody waits for an answer.
    Nobody,
    /// A client of this server's admin listener.
    Server(Id, u32),
}

/// An event.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Begun,
    Asked(Request),
    /// The sockets of a grant are bound. `beyond` has its reasons for another server; empty without one.
    Granted {
        id: Id,
        beyond: Vec<String>,
    },
    /// The sockets of a grant cannot be bound, or the server does not follow the protocol.
    Unusable {
        id: Id,
        why: String,
    },
    /// The configuration is invalid; the server has logged it. With an outline of the errors.
    Refused(Id, String),
    Serving(Id),
    Swapped(Id, Outcome),
    /// A server has ended.
    Ended {
        id: Id,
        how: String,
        code: u8,
        ran: Duration,
    },
    /// A server that cannot be started.
    Unstarted {
        id: Id,
        why: String,
    },
    /// The pause before a restart is over.
    Due,
    /// SIGTERM or SIGINT.
    Stop,
    /// The time limit of the end has passed.
    Overdue,
}

/// An effect for the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Spawn(Id, Intent),
    /// Send all sockets; the server gives up its rights and serves.
    Serve(Id),
    /// Send the configuration of `from` to the server `to`.
    Swap {
        from: Id,
        to: Id,
        is_preview: bool,
    },
    /// The candidate is not needed.
    Leave(Id),
    /// Put the configuration of this server in force: its programs, sockets and watched files.
    Enforce(Id),
    /// Let a server drain, which another has replaced.
    Drain(Id),
    /// SIGTERM.
    Terminate(Id),
    /// SIGKILL.
    Kill(Id),
    Answer(Origin, Outcome),
    /// Have the current server count a refused reload.
    CountRefused,
    /// Report `Due` after the pause.
    RestartAfter(Duration),
    /// Begin the time limit of the end, short after a second signal.
    LimitEnd {
        is_short: bool,
    },
    /// Execute the program of this server in place of this one.
    Execute(Id),
    Log(Level, String),
    /// The reason that nothing can be served.
    Fail(String),
    /// All servers have ended. Stop the programs, or kill them, and exit.
    Finish {
        code: u8,
        is_killing: bool,
    },
}

/// Level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warn,
    Error,
}

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
    has_served: bool,
    actions: Vec<Action>,
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

#[derive(Debug)]
struct Candidate {
    id: Id,
    stage: Stage,
    request: Request,
    /// Reasons for another server.
    beyond: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Loading,
    Starting,
    Swapping,
}

impl State {
    /// Returns the state after the execution of a new program: `current` serves, the `draining` ones end.
    pub(super) fn adopted(last: u32, current: Option<Id>, draining: Vec<Id>) -> Self {
        Self {
            last,
            current,
            draining,
            has_served: true,
            ..Self::default()
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

    fn grant(&mut self, id: Id, beyond: Vec<String>) {
        let current = self.current;
        let Some(candidate) = self.candidate_with(id, Stage::Loading) else {
            return;
        };
        let is_preview = candidate.request.intent == Intent::Preview;
        let is_swapped =
            is_preview || (candidate.request.intent == Intent::Reload && beyond.is_empty());
        candidate.beyond = beyond;
        match current {
            Some(to) if is_swapped => {
                candidate.stage = Stage::Swapping;
                let from = id;
                self.push(Action::Swap {
                    from,
                    to,
                    is_preview,
                });
                self.leave(id);
            }
            _ => {
                candidate.stage = Stage::Starting;
                self.push(Action::Serve(id));
            }
        }
    }

    /// Refuses the request of a candidate.
    fn refuse(&mut self, id: Id, why: &str, is_logged: bool) {
        let Some(candidate) = self.candidate.take_if(|candidate| candidate.id == id) else {
            // A server that breaks the protocol later.
            self.push(Action::Log(
                Level::Error,
                format!("a server is killed: {why}"),
            ));
            return self.push(Action::Kill(id));
        };
        let intent = candidate.request.intent;
        match intent {
            Intent::Start if is_logged => self.push(Action::Fail(why.to_owned())),
            Intent::Start | Intent::Preview => {}
            Intent::Restart | Intent::Reload | Intent::Upgrade => {
                self.push(Action::CountRefused);
                if is_logged {
                    self.log_refusal(intent, why);
                }
            }
        }
        self.answer(candidate.request.origin, Err(why.to_owned()));
        self.leave(id);
        if intent == Intent::Start {
            self.end = End::AtOnce;
            self.code = 1;
        }
    }

    fn serve(&mut self, id: Id) {
        if self.candidate_with(id, Stage::Starting).is_none() {
            return;
        }
        let Some(candidate) = self.candidate.take() else {
            return;
        };
        self.has_served = true;
        let replaced = self.current.replace(id);
        self.push(Action::Enforce(id));
        let Request { origin, intent } = candidate.request;
        if let Some(replaced) = replaced {
            let reasons = candidate.beyond.join(", ");
            let text = match intent {
                Intent::Upgrade => {
                    "upgraded: a server of the new program has taken over".to_owned()
                }
                _ => format!("reloaded: a new server has taken over ({reasons})"),
            };
            self.push(Action::Log(Level::Info, text.clone()));
            self.answer(origin, Ok(text));
            self.push(Action::Drain(replaced));
            self.draining.push(replaced);
        }
        if self.draining.len() > DRAINING
            && let Some(oldest) = self.draining.first()
        {
            self.push(Action::Terminate(*oldest));
        }
        if intent == Intent::Upgrade {
            self.push(Action::Execute(id));
        }
    }

    fn swapped(&mut self, id: Id, outcome: Outcome) {
        let is_swapping = |candidate: &mut Candidate| candidate.stage == Stage::Swapping;
        if self.current != Some(id) {
            return;
        }
        let Some(candidate) = self.candidate.take_if(is_swapping) else {
            return;
        };
        let is_preview = candidate.request.intent == Intent::Preview;
        if outcome.is_ok() && !is_preview {
            self.push(Action::Enforce(candidate.id));
        }
        let outcome = outcome.map(|mut changes| {
            if !candidate.beyond.is_empty() {
                let reasons = candidate.beyond.join(", ");
                changes.push_str(&format!("\na new server takes over ({reasons})"));
            }
            changes
        });
        self.answer(candidate.request.origin, outcome);
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

    /// Handles the end of a candidate that has not said why.
    fn candidate_ended(&mut self, candidate: Candidate, (how, code): (&str, u8)) {
        // It was told to leave.
        if candidate.stage == Stage::Swapping {
            self.candidate = Some(candidate);
            return;
        }
        let why = format!("the new server ended: {how}");
        match candidate.request.intent {
            Intent::Start => {
                self.end = End::AtOnce;
                self.code = code.max(1);
            }
            Intent::Restart => self.restart_later(how, Duration::ZERO),
            Intent::Reload | Intent::Preview | Intent::Upgrade => {
                self.push(Action::CountRefused);
                self.log_refusal(candidate.request.intent, &why);
            }
        }
        self.answer(candidate.request.origin, Err(why));
    }

    fn log_refusal(&mut self, intent: Intent, why: &str) {
        let text = match intent {
            Intent::Start | Intent::Restart => why.to_owned(),
            Intent::Reload | Intent::Preview => {
                format!("reload refused, configuration unchanged: {why}")
            }
            Intent::Upgrade => format!("upgrade refused, the running program goes on: {why}"),
        };
        self.push(Action::Log(Level::Error, text));
    }

    /// Refuses the reload that the current server has not finished.
    fn abandon_swap(&mut self) {
        let is_swapping = |candidate: &mut Candidate| candidate.stage == Stage::Swapping;
        if let Some(candidate) = self.candidate.take_if(is_swapping) {
            let why = "the server ended during the reload".to_owned();
            self.answer(candidate.request.origin, Err(why));
        }
    }

    fn restart_later(&mut self, how: &str, ran: Duration) {
        let pause = self.back_off.record_exit(ran);
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

    fn stop(&mut self) {
        match self.end {
            End::No => {
                self.end = End::Draining;
                self.push(Action::LimitEnd { is_short: false });
                self.refuse_all();
                if !self.has_served && self.draining.is_empty() {
                    self.code = INTERRUPTED;
                }
                self.terminate();
            }
            End::Draining => {
                self.end = End::AtOnce;
                self.push(Action::LimitEnd { is_short: true });
                self.terminate();
            }
            End::AtOnce => {}
        }
    }

    /// Refuses all requests, and ends the candidate.
    fn refuse_all(&mut self) {
        let stopping = || Err("the server is stopping".to_owned());
        for request in take(&mut self.waiting) {
            self.answer(request.origin, stopping());
        }
        if let Some(candidate) = self.candidate.take() {
            self.answer(candidate.request.origin, stopping());
            match candidate.stage {
                Stage::Loading => self.leaving.push(candidate.id),
                // It may serve already.
                Stage::Starting => self.draining.push(candidate.id),
                Stage::Swapping => {}
            }
        }
        for id in self.leaving.clone() {
            self.push(Action::Kill(id));
        }
    }

    fn terminate(&mut self) {
        let serving: Vec<_> = self.current.iter().chain(&self.draining).copied().collect();
        for id in serving {
            self.push(Action::Terminate(id));
        }
    }

    fn kill(&mut self) {
        self.code = 1;
        let all = self
            .current
            .iter()
            .chain(&self.draining)
            .chain(&self.leaving);
        for id in all.copied().collect::<Vec<_>>() {
            self.push(Action::Kill(id));
        }
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
        if self.candidate.is_some() {
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

    /// Tells a candidate that it is not needed.
    fn leave(&mut self, id: Id) {
        self.leaving.push(id);
        self.push(Action::Leave(id));
    }

    fn candidate_with(&mut self, id: Id, stage: Stage) -> Option<&mut Candidate> {
        let candidate = self.candidate.as_mut();
        candidate.filter(|candidate| candidate.id == id && candidate.stage == stage)
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

impl Request {
    /// Returns a request that nobody waits for.
    pub(super) fn of(intent: Intent) -> Self {
        Self {
            origin: Origin::Nobody,
            intent,
        }
    }
}

#[cfg(test)]
mod tests;

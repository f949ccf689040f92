//! The way of a candidate, until it serves or its configuration is in force.

use std::time::Duration;

use super::candidate::{Candidate, Stage};
use super::{Action, DRAINING, End, Id, Level, Request, State};
use crate::control::{Intent, Outcome};

impl State {
    pub(super) fn grant(&mut self, id: Id, beyond: Vec<String>) {
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
    pub(super) fn refuse(&mut self, id: Id, why: &str, is_logged: bool) {
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

    pub(super) fn serve(&mut self, id: Id) {
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
            let text = if intent == Intent::Upgrade {
                "upgraded: a server of the new program has taken over".to_owned()
            } else {
                format!("reloaded: a new server has taken over ({reasons})")
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
            self.is_executing = true;
            self.push(Action::Execute);
        }
    }

    pub(super) fn swapped(&mut self, id: Id, outcome: Outcome) {
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

    /// Handles the end of a candidate that has not said why.
    pub(super) fn candidate_ended(&mut self, candidate: Candidate, (how, code): (&str, u8)) {
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

    pub(super) fn log_refusal(&mut self, intent: Intent, why: &str) {
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
    pub(super) fn abandon_swap(&mut self) {
        let is_swapping = |candidate: &mut Candidate| candidate.stage == Stage::Swapping;
        if let Some(candidate) = self.candidate.take_if(is_swapping) {
            let why = "the server ended during the reload".to_owned();
            self.answer(candidate.request.origin, Err(why));
        }
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
}

//! The end of the program.

use std::mem::take;

use super::candidate::Stage;
use super::{Action, End, INTERRUPTED, State};

impl State {
    pub(super) fn stop(&mut self) {
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

    pub(super) fn kill(&mut self) {
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
}

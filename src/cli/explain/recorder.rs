//! Recorder of a journey, rule by rule.

use super::recording_disk::RecordingDisk;
use super::trace::{Failed, Round, Step, text};
use crate::failure::Failure;
use crate::handler::{Decision, Handler, Plan};
use crate::journey::{Context, Finding, Trail};
use crate::message::{Cause, Request};
use crate::modifier::Step as Consequence;
use crate::modifier::readings::Judged;
use crate::route::Rule;
use crate::route::condition::Verdict;

/// Recorder of all evaluated rules, with their file look-ups.
pub(super) struct Recorder<'a> {
    disk: &'a RecordingDisk<'a>,
    pub(super) rounds: Vec<Round>,
    /// The file to send.
    pub(super) file: Option<String>,
    /// The last failure, that of the response.
    pub(super) failure: Option<Failed>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(disk: &'a RecordingDisk<'a>) -> Self {
        Self {
            disk,
            rounds: Vec::new(),
            file: None,
            failure: None,
        }
    }

    fn step(&mut self) -> Option<&mut Step> {
        self.rounds.last_mut()?.steps.last_mut()
    }
}

impl Trail for Recorder<'_> {
    const WATCHES: bool = true;

    fn round(&mut self, request: &Request) {
        self.rounds.push(Round {
            path: text(request.target.path()),
            query: request.target.query().map(str::to_owned),
            cause: request.causes.last().map(cause),
            steps: Vec::new(),
        });
    }

    fn rule(&mut self, number: usize, rule: &Rule<Consequence>, finding: &Finding<'_>) {
        let matched = match finding {
            Finding::Judged(judged) => !matches!(judged, Judged::Fails(_)),
            Finding::Excluded | Finding::Internal => false,
        };
        let handler = rule.then.handler.as_ref();
        let goes_on = matched && handler.is_none();
        let limiter = rule.then.modifiers.limiter().filter(|_| matched);
        let subrequest = rule.then.modifiers.subrequest().filter(|_| matched);
        let step = Step {
            number: number + 1,
            place: rule.place().to_owned(),
            conditions: rule.conditions().to_string(),
            matched,
            why: why(finding, rule),
            limit: limiter.map(|limiter| limiter.limit().to_string()),
            subrequest: subrequest.map(|target| target.raw().to_owned()),
            handler: handler.map(Handler::name),
            plan: goes_on.then(|| "adds its edits; the search continues".to_owned()),
            lookups: self.disk.take_lookups(),
        };
        if let Some(round) = self.rounds.last_mut() {
            round.steps.push(step);
        }
    }

    fn decision(&mut self, decision: &Decision) {
        if let Decision::Perform(Plan::Send(representation)) = decision {
            self.file = self.disk.path_of(representation.file());
        }
        let lookups = self.disk.take_lookups();
        if let Some(step) = self.step() {
            step.plan = Some(describe(decision));
            step.lookups.extend(lookups);
        }
    }

    fn failed(&mut self, failure: &Failure, _: &Context) {
        self.disk.take_lookups();
        if is_by_a_guard(failure)
            && let Some(step) = self.step()
        {
            step.plan = Some(format!("refuses the request: {failure}"));
        }
        self.failure = Some(Failed {
            status: failure.status(),
            cause: failure.code(),
            why: failure.to_string(),
        });
    }

    fn page_failed(&mut self, _: &[u8], _: Result<http::StatusCode, &Failure>, _: &Context) {
        self.file = None;
    }
}

/// Reports whether a modifier of the last rule refuses the request.
fn is_by_a_guard(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Requirement(_)
            | Failure::Unauthorized(_)
            | Failure::Unverified(_)
            | Failure::UserFile { .. }
            | Failure::ForwardAuth(_)
    )
}

fn why(finding: &Finding<'_>, rule: &Rule<Consequence>) -> String {
    match finding {
        Finding::Excluded => "an earlier `to = \"!\"` excludes it".to_owned(),
        Finding::Internal => "it is for internal rounds only".to_owned(),
        Finding::Judged(Judged::Holds(_)) => match rule.conditions().to_string() {
            none if none.is_empty() => "it has no conditions".to_owned(),
            conditions => conditions,
        },
        Finding::Judged(Judged::Fails(verdict)) => fails(verdict),
        Finding::Judged(Judged::Guards(target)) => format!(
            "it holds for {}, which an application may read in the target",
            text(target.path())
        ),
    }
}

fn fails(verdict: &Verdict<'_>) -> String {
    match verdict {
        Verdict::Holds => String::new(),
        Verdict::Lacks(condition) => format!("{condition} does not hold"),
        Verdict::Excepted(condition) => format!("{condition} holds, and is under `not`"),
    }
}

fn describe(decision: &Decision) -> String {
    match decision {
        Decision::Perform(Plan::Call(_)) => "calls the application".to_owned(),
        Decision::Perform(Plan::Send(_)) => "sends the file".to_owned(),
        Decision::Perform(Plan::List(_)) => "lists the folder".to_owned(),
        Decision::Answer(response) => format!("answers {}", response.status()),
        Decision::Again(target, cause_of) => format!(
            "starts again with {}: {}",
            text(target.path()),
            cause(cause_of)
        ),
        Decision::Decline => "declines: the next rule follows".to_owned(),
        Decision::Withhold(why) => format!("declines: {why}; the next rule follows"),
        Decision::Fail(failure) => format!("fails with {}: {failure}", failure.status()),
    }
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Index => "an index file".to_owned(),
        Cause::Rewrite(from) => format!("rewritten from {}", text(&from.path)),
        Cause::ErrorPage { status, from, .. } => {
            format!("the error page of {status} at {}", text(&from.path))
        }
    }
}

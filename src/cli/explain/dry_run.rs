//! The driver of a dry run: plans that need the disk alone are performed, and no application gets a request.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use http::{HeaderValue, Method, Response, header};
use tokio::runtime::Builder;

use super::question::{Connection, Question};
use super::recorder::Recorder;
use super::recording_disk::RecordingDisk;
use super::trace::{Explanation, Outcome, text};
use crate::failure::Failure;
use crate::filter::compress::Memory;
use crate::handler::coded::Encoders;
use crate::handler::fastcgi::Call;
use crate::handler::{Body, Plan, Trace};
use crate::journey::{Arrived, Context, Event, Journey, Next};
use crate::message::status::ends_with_head;
use crate::message::{Cause, Disk, Request, RequestId, Upload};
use crate::modifier::fact::{Answer, Ask, Fact};
use crate::moment::Moment;
use crate::site::Snapshot;

/// Explains the processing of the request on the connection.
pub(super) fn explain(
    snapshot: &Snapshot,
    question: Question,
    connection: Connection,
    disk: &dyn Disk,
) -> Result<Explanation, String> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    Ok(runtime.block_on(run_journey(snapshot, question, connection, disk)))
}

async fn run_journey(
    snapshot: &Snapshot,
    question: Question,
    connection: Connection,
    disk: &dyn Disk,
) -> Explanation {
    let disk = RecordingDisk::new(disk);
    let (method, url) = (question.parts.method.to_string(), question.url.clone());
    let length = question.length();
    let wire = Arc::new(connection.wire);
    let mut parts = question.parts;
    // An ID that compresses as badly as a real one.
    let mut id = RequestId::new(0x90d1_6bf2_3e7c_1f94, 0xb2d8_506a_c4f1_9e73);
    let forwarding = &snapshot.server.forwarding;
    let applied = forwarding.apply(&mut parts, &wire, &mut id);
    let wire = applied.as_ref().unwrap_or(&wire);
    let context = Context::new(&parts, wire, id, Moment::read_clock());
    let client = wire.remote_addr.clone();
    let mut driver = Driver {
        snapshot,
        length,
        journey: Journey::new(context),
        recorder: Recorder::new(&disk),
        disk: &disk,
    };
    let arrived = Arrived {
        snapshot,
        logs: &snapshot.logs.server,
        parts,
        upload: Upload::Empty,
        received: applied.map(drop).map_err(Into::into),
    };
    let outcome = driver.drive(arrived).await;
    let site = driver.journey.context.site.as_ref();
    Explanation {
        method,
        url,
        listener: connection.listener,
        client,
        notes: connection.notes,
        site: site.map(|site| site.name.to_string()),
        rounds: driver.recorder.rounds,
        failure: driver.recorder.failure,
        outcome,
    }
}

struct Driver<'a> {
    snapshot: &'a Snapshot,
    /// The length of the content, in bytes.
    length: u64,
    journey: Journey,
    recorder: Recorder<'a>,
    disk: &'a RecordingDisk<'a>,
}

impl Driver<'_> {
    async fn drive(&mut self, arrived: Arrived<'_>) -> Outcome {
        let mut next = self.journey.arrive(arrived, self.disk, &mut self.recorder);
        loop {
            let event = match next {
                Next::Send(response) => return self.answer(response),
                Next::Encode(encoding) => {
                    let budget = &self.snapshot.budgets.encoders;
                    let memory = Memory {
                        encoders: &Encoders::default(),
                        share: self.journey.context.share(budget),
                    };
                    let response = encoding.run(memory).await;
                    return self.answer(response);
                }
                Next::Perform(Plan::Call(call), mut request) => {
                    match self.call(&call, &mut request) {
                        Ok(outcome) => return outcome,
                        Err(failure) => Event::Performed(Err(failure)),
                    }
                }
                Next::Perform(plan @ (Plan::Send(_) | Plan::List(_)), request) => {
                    let received = self.journey.context.received.instant;
                    let mut trace = Trace::default();
                    let performed = plan.perform(request, self.disk, received, &mut trace);
                    Event::Performed(performed.await)
                }
                Next::Ask(ask) => {
                    // The round is evaluated again from its start.
                    self.recorder.rounds.pop();
                    let fact = find(ask, &self.journey, self.disk).await;
                    // Those of a subrequest are none of a rule.
                    self.disk.take_lookups();
                    Event::Known(fact)
                }
            };
            next = self
                .journey
                .handle_event(event, self.disk, &mut self.recorder);
        }
    }

    fn answer(&self, mut response: Response<Body>) -> Outcome {
        if self.journey.context.method != Method::HEAD {
            add_length(&mut response);
        }
        let (head, _) = response.into_parts();
        Outcome::Answer {
            file: self.recorder.file.clone(),
            status: head.status,
            fields: head.headers,
        }
    }

    fn call(&self, call: &Call, request: &mut Request) -> Result<Outcome, Failure> {
        let fastcgi = &call.fastcgi;
        let members = fastcgi.upstream.members();
        let folder = fastcgi.mapping.root.0.as_os_str().as_bytes();
        let root = folder.strip_suffix(b"/").unwrap_or(folder);
        let servers = members.iter().map(|member| member.address().to_string());
        Ok(Outcome::Call {
            upstream: fastcgi.upstream.name.clone(),
            servers: servers.collect(),
            script: text(&[root, &call.script.file].concat()),
            reserve: self.reserve(request),
            params: call.list_variables(request, self.length_of(request))?,
        })
    }

    /// Returns the length of the content, in bytes; 0 for an error page.
    fn length_of(&self, request: &Request) -> u64 {
        let is_page = |cause: &Cause| matches!(cause, Cause::ErrorPage { .. });
        if request.causes.iter().any(is_page) {
            return 0;
        }
        self.length
    }

    /// Returns the reserved share of the request's class, and the source of its key.
    fn reserve(&self, request: &Request) -> Option<String> {
        let site = self.journey.context.site.as_ref()?;
        let edits = request.edits.as_ref();
        let Some(rule) = edits.and_then(|edits| edits.reserving_rule()) else {
            let percent = site.reserve.as_ref()?.value;
            return Some(format!("{percent} % for requests of the site"));
        };
        let number = rule.number;
        let percent = site.rules.get(number)?.then.modifiers.reserve()?.value;
        Some(format!("{percent} % for requests of rule {}", number + 1))
    }
}

/// Determines a fact: passwords are verified, and the script of a subrequest is assumed to grant access.
async fn find(ask: Ask, journey: &Journey, disk: &dyn Disk) -> Fact {
    let begun = match ask {
        Ask::Verify(verification) => return Fact::Verified(verification.perform().await),
        Ask::Subrequest(_) => journey.begin_subrequest(disk, &mut ()),
    };
    let Some((mut journey, mut next)) = begun else {
        return Fact::Answered(Box::default());
    };
    loop {
        let fact = match next {
            Next::Ask(ask) => Box::pin(find(ask, &journey, disk)).await,
            Next::Send(response) => return answered(&response),
            Next::Perform(..) | Next::Encode(_) => return Fact::Answered(Box::default()),
        };
        next = journey.handle_event(Event::Known(fact), disk, &mut ());
    }
}

/// Returns the answer of the rules to a subrequest.
fn answered(response: &Response<Body>) -> Fact {
    Fact::Answered(Box::new(Answer {
        status: response.status(),
        fields: response.headers().clone(),
        content: response.body().whole().cloned().unwrap_or_default(),
    }))
}

/// Adds a Content-Length (RFC 9110 §8.6), as hyper does.
fn add_length(response: &mut Response<Body>) {
    let length = http_body::Body::size_hint(response.body()).exact();
    let has_length = !ends_with_head(response.status());
    if let Some(length) = length.filter(|_| has_length) {
        let entry = response.headers_mut().entry(header::CONTENT_LENGTH);
        entry.or_insert_with(|| HeaderValue::from(length));
    }
}

//! One attempt at a call on one connection, up to the head of the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::Instant;

use super::Fastcgi;
use super::stderr::{ErrorStream, Origin};
use crate::cgi::Script;
use crate::cgi::response::{HeadError, HeadLimits, ScriptHead, interim, parse_from};
use crate::failure::Failure;
use crate::fastcgi::management::PROBE;
use crate::fastcgi::record::{HEADER_LEN, ProtocolStatus};
use crate::fastcgi::{Answer, Broken, Exchange, ExchangeError, Limit, Outbound, Pace, Progress};
use crate::handler::Trace;
use crate::message::{Request, Upload, UploadError};
use crate::upstream::lease::Entry;
use crate::upstream::{Lease, Member};

/// Interim answers in front of one final one that are left out.
const INTERIM: usize = 8;

/// What all attempts at one call share.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) fastcgi: &'a Arc<Fastcgi>,
    pub(super) script: &'a Arc<Script>,
    pub(super) request: &'a Request,
    /// Probe, BEGIN_REQUEST and all of PARAMS.
    pub(super) records: &'a Bytes,
    pub(super) arrived: Instant,
}

/// An answer of which the head is there.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) exchange: Exchange<Lease>,
    pub(super) head: ScriptHead,
    /// What of the content came with the head.
    pub(super) rest: BytesMut,
    pub(super) errors: ErrorStream,
    pub(super) trace: Trace,
}

/// What an attempt leaves behind.
#[derive(Debug)]
pub(super) struct Failed {
    /// Where it failed.
    pub(super) member: Arc<Member>,
    pub(super) failure: Failure,
    pub(super) progress: Progress,
    pub(super) upload: Upload,
    /// Nothing of the content was read.
    pub(super) untouched: bool,
}

impl Attempt<'_> {
    /// Sends the request on `lease` and reads the head of the answer.
    pub(super) async fn run(&self, mut lease: Lease, upload: Upload) -> Result<Begun, Box<Failed>> {
        let waits = lease.waits;
        let member = Arc::clone(lease.member());
        let outbound = self.outbound(&mut lease, upload);
        let mut exchange = Exchange::start(lease, outbound, self.pace());
        let mut errors = ErrorStream::new(Origin {
            request_id: self.request.id,
            fastcgi: Arc::clone(self.fastcgi),
            script: Arc::clone(self.script),
        });
        match self.head(&mut exchange, &mut errors).await {
            Ok((head, rest)) => {
                member.has_answered();
                let trace = Trace {
                    upstream: Some(Arc::clone(&self.fastcgi.name)),
                    queue: Some(waits.queue),
                    connect: Some(waits.connect),
                    acknowledge: exchange.acknowledged_after(),
                    first_byte: Some(self.arrived.elapsed()),
                };
                Ok(Begun {
                    exchange,
                    head,
                    rest,
                    errors,
                    trace,
                })
            }
            Err((failure, progress)) => {
                if breaks_the_protocol(&failure) {
                    member.has_misbehaved(&failure);
                }
                Err(Box::new(Failed {
                    member,
                    failure,
                    progress,
                    untouched: exchange.is_content_untouched(),
                    upload: exchange.into_upload(),
                }))
            }
        }
    }

    /// What goes onto the connection, and how (design §4.3).
    fn outbound(&self, lease: &mut Lease, upload: Upload) -> Outbound {
        let unsafe_method = !self.request.is_safe();
        let entry = lease.entry(unsafe_method);
        let begin = match entry {
            Entry::Plain => PROBE.len(),
            Entry::Probe | Entry::Try => 0,
        };
        // The last record is the empty PARAMS, without which nothing is executed.
        // Content that cannot be sent twice waits with it.
        let must = lease.must_hold() || !upload.is_whole();
        let hold = entry == Entry::Probe && unsafe_method && must;
        let end = self.records.len() - if hold { HEADER_LEN } else { 0 };
        Outbound {
            head: self.records.slice(begin..end),
            held: hold.then(|| self.records.slice(end..)),
            probed: entry == Entry::Probe,
            upload,
            runs_on: unsafe_method || self.fastcgi.ignore_client_abort,
        }
    }

    fn pace(&self) -> Pace {
        let timeouts = &self.fastcgi.timeouts;
        let queue = timeouts.queue.duration;
        let left = queue.saturating_sub(self.arrived.elapsed());
        Pace {
            acknowledge: match queue.is_zero() {
                true => Duration::ZERO,
                false => left.max(Duration::from_millis(1)),
            },
            first_byte: timeouts.first_byte.duration,
            idle: timeouts.idle.duration,
            client: self.fastcgi.spool.pause,
        }
    }

    /// RFC 3875 §6: the head, and what of the content came with it.
    async fn head(
        &self,
        exchange: &mut Exchange<Lease>,
        errors: &mut ErrorStream,
    ) -> Result<(ScriptHead, BytesMut), (Failure, Progress)> {
        let mut buffer = BytesMut::new();
        let mut scanned = 0;
        let mut left_out = 0;
        loop {
            match exchange.answer().await {
                Some(Ok(Answer::Stdout(piece))) => buffer.extend_from_slice(&piece),
                Some(Ok(Answer::Stderr(piece))) => errors.push(&piece),
                Some(Ok(Answer::End { status, .. })) => return Err(self.no_head(status)),
                Some(Err(broken)) => {
                    let progress = broken.progress;
                    return Err((self.broken(broken), progress));
                }
                None => return Err(self.no_head(ProtocolStatus::RequestComplete)),
            }
            match self.parse(&mut buffer, scanned, &mut left_out) {
                Ok(Some((head, length))) => return Ok((head, buffer.split_off(length))),
                Ok(None) => scanned = buffer.len(),
                Err(error) => {
                    let upstream = self.upstream();
                    return Err((Failure::Head { upstream, error }, Progress::Settled));
                }
            }
        }
    }

    /// The head at the start of `buffer`, after interim answers have been left out of it: hyper cannot
    /// send them (RFC 9110 §15.2 lets us drop them).
    fn parse(
        &self,
        buffer: &mut BytesMut,
        mut scanned: usize,
        left_out: &mut usize,
    ) -> Result<Option<(ScriptHead, usize)>, HeadError> {
        let limits = HeadLimits::default();
        loop {
            let parsed = parse_from(buffer, scanned, limits);
            let is_interim = matches!(parsed, Err(HeadError::Informational(_)));
            let Some(length) = is_interim
                .then(|| interim(buffer, limits))
                .flatten()
                .filter(|_| *left_out < INTERIM)
            else {
                return parsed;
            };
            buffer.advance(length);
            *left_out += 1;
            scanned = 0;
            tracing::info!(request_id = %self.request.id, upstream = %self.fastcgi.name, "an interim answer of the script is dropped");
        }
    }

    /// A limit of time is told with its name, its value and its line.
    fn broken(&self, broken: Broken) -> Failure {
        let upstream = self.upstream();
        let timeouts = &self.fastcgi.timeouts;
        let (which, limit) = match broken.error {
            ExchangeError::Timeout(which @ Limit::Acknowledge, _) => (which, &timeouts.queue),
            ExchangeError::Timeout(which @ Limit::FirstByte, _) => (which, &timeouts.first_byte),
            ExchangeError::Timeout(which @ Limit::Idle, _) => (which, &timeouts.idle),
            ExchangeError::Timeout(Limit::Client, pause) => {
                return Failure::Upload(UploadError::Stalled { pause });
            }
            ExchangeError::Upload(error) => return Failure::Upload(error),
            ExchangeError::Reset(_) | ExchangeError::Closed | ExchangeError::Protocol(_) => {
                return Failure::Exchange { upstream, broken };
            }
        };
        Failure::Timeout {
            retry_after: None,
            upstream,
            which,
            limit: limit.clone(),
        }
    }

    /// The exchange ended without a head. FastCGI §5.5: refused before it was begun, or the
    /// script printed nothing.
    fn no_head(&self, status: ProtocolStatus) -> (Failure, Progress) {
        let upstream = self.upstream();
        let failure = match status {
            ProtocolStatus::RequestComplete => Failure::NoHead(upstream),
            ProtocolStatus::CantMpxConn
            | ProtocolStatus::Overloaded
            | ProtocolStatus::UnknownRole
            | ProtocolStatus::Other(_) => Failure::Refused { upstream, status },
        };
        (failure, Progress::Settled)
    }

    fn upstream(&self) -> String {
        self.fastcgi.upstream.name.clone()
    }
}

/// Whether the server is to blame, and not the script or the time that it takes.
fn breaks_the_protocol(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Refused { .. }
            | Failure::Exchange {
                broken: Broken {
                    error: ExchangeError::Protocol(_),
                    ..
                },
                ..
            }
    )
}

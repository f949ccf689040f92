//! One call of a script: content first where it has to be, then a connection, the exchange, and
//! the head of the answer; again from the head of the queue where nothing was executed.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderValue, Response, StatusCode, header};
use tokio::time::Instant;

use super::stderr::{ErrorStream, Origin};
use super::{Fastcgi, Streaming};
use crate::cgi::response::{HeadLimits, ScriptHead, parse_from};
use crate::cgi::{Script, meta_variables};
use crate::failure::Failure;
use crate::fastcgi::management::PROBE;
use crate::fastcgi::params::{ParamsEncoder, end_of_params};
use crate::fastcgi::record::{ProtocolStatus, begin_request};
use crate::fastcgi::{Answer, Broken, Exchange, Outbound, Pace, Progress};
use crate::handler::{Body, Trace};
use crate::message::{Request, Upload, spool};
use crate::upstream::lease::{Deadline, Entry};
use crate::upstream::{Lease, LeaseError, Order};

/// Content up to this size is received before a worker is asked for: it costs a slow client's
/// time and not PHP's, and it can be sent again.
const SMALL_CONTENT: u64 = 64 * 1024;

/// An answer that is whole within this size when its head is read goes out with its length.
const SMALL_ANSWER: usize = 64 * 1024;

/// How often a request is sent that may have been executed (design §4.8: once more).
const AMBIGUOUS_RETRIES: u32 = 1;

/// A script to be called.
#[derive(Debug)]
pub struct Call<'a> {
    /// By whom.
    pub fastcgi: &'a Fastcgi,
    /// Which.
    pub script: Script,
}

/// The answer so far: its head, and what followed it already.
struct Begun {
    exchange: Exchange<Lease>,
    head: ScriptHead,
    rest: BytesMut,
    errors: ErrorStream,
    trace: Trace,
}

/// What an attempt leaves behind: whether it may be made again, and what is left of the content.
struct Failed {
    failure: Failure,
    progress: Progress,
    upload: Upload,
}

impl Call<'_> {
    /// Calls the script and waits for the head of its answer.
    pub async fn perform(self, mut request: Request) -> Result<Response<Body>, Failure> {
        let arrived = Instant::now();
        self.receive(&mut request).await?;
        let records = self.records(&request);
        let mut ambiguous = 0;
        let mut order = Order::Last;
        loop {
            let replay = request.upload.replay();
            let lease = self
                .lease(arrived, order)
                .await
                .map_err(|error| self.no_lease(error, &mut request))?;
            let upload = std::mem::replace(&mut request.upload, Upload::Empty);
            let failed = match self
                .attempt(&request, lease, &records, upload, arrived)
                .await
            {
                Ok(begun) => return Ok(respond(begun, &request)),
                Err(failed) => *failed,
            };
            let repeatable = match failed.progress {
                Progress::NotExecuted => true,
                Progress::Unknown if request.is_safe() && ambiguous < AMBIGUOUS_RETRIES => {
                    ambiguous += 1;
                    true
                }
                Progress::Unknown | Progress::Answering => false,
            };
            match replay {
                Some(upload) if repeatable && self.in_time(arrived) => {
                    tracing::debug!(request_id = %request.id, cause = failed.failure.code(), "sent again");
                    request.upload = upload;
                    order = Order::First;
                }
                Some(_) | None => {
                    failed.upload.linger();
                    return Err(failed.failure);
                }
            }
        }
    }

    /// Content that is small or of unknown length is received first; too much of it is refused
    /// before any of it is read, so that `Expect: 100-continue` saves the client the upload.
    async fn receive(&self, request: &mut Request) -> Result<(), Failure> {
        let limit = self.fastcgi.spool.limit;
        match request.upload.length() {
            Some(0) => return Ok(()),
            Some(length) if length > limit => {
                std::mem::replace(&mut request.upload, Upload::Empty).linger();
                return Err(Failure::BodyTooLarge { length, limit });
            }
            Some(length) if length > SMALL_CONTENT => return Ok(()),
            Some(_) | None => {}
        }
        let upload = std::mem::replace(&mut request.upload, Upload::Empty);
        match spool::receive(upload, &self.fastcgi.spool).await {
            Ok(upload) => {
                request.upload = upload;
                Ok(())
            }
            Err((error, upload)) => {
                upload.linger();
                Err(error.into())
            }
        }
    }

    /// BEGIN_REQUEST and PARAMS behind a probe, of which an attempt leaves out the probe where it
    /// needs none; without the empty PARAMS record.
    fn records(&self, request: &Request) -> Bytes {
        let mut records = Vec::with_capacity(2048);
        records.extend_from_slice(PROBE);
        begin_request(&mut records);
        let mut params = ParamsEncoder::new(&mut records);
        meta_variables::encode(
            &mut params,
            request,
            &self.script,
            &self.fastcgi.mapping,
            &self.fastcgi.constants,
        );
        params.finish();
        end_of_params(&mut records);
        Bytes::from(records)
    }

    async fn lease(&self, since: Instant, order: Order) -> Result<Lease, LeaseError> {
        let deadline = Deadline {
            since,
            limit: self.fastcgi.upstream.timeouts.queue,
        };
        let Some(member) = self.fastcgi.upstream.pick() else {
            return Err(LeaseError::QueueFull);
        };
        member.lease(order, deadline).await
    }

    fn no_lease(&self, error: LeaseError, request: &mut Request) -> Failure {
        std::mem::replace(&mut request.upload, Upload::Empty).linger();
        Failure::Lease {
            upstream: self.fastcgi.upstream.name.clone(),
            error,
        }
    }

    fn in_time(&self, arrived: Instant) -> bool {
        let limit = self.fastcgi.upstream.timeouts.queue;
        limit.is_zero() || arrived.elapsed() < limit
    }

    async fn attempt(
        &self,
        request: &Request,
        mut lease: Lease,
        records: &Bytes,
        upload: Upload,
        arrived: Instant,
    ) -> Result<Begun, Box<Failed>> {
        let waits = lease.waits;
        let member: Arc<str> = Arc::clone(&self.fastcgi.name);
        let pace = self.pace(arrived);
        let outbound = outbound(&mut lease, request, records, upload);
        let mut exchange = Exchange::start(lease, outbound, pace);
        let mut errors = ErrorStream::new(Origin {
            request_id: request.id,
            upstream: Arc::clone(&member),
            script: String::from_utf8_lossy(&self.script.name).into_owned(),
        });
        match self.head(&mut exchange, &mut errors).await {
            Ok((head, rest)) => {
                let trace = Trace {
                    upstream: Some(member),
                    queue: Some(waits.queue),
                    connect: Some(waits.connect),
                    first_byte: Some(arrived.elapsed()),
                };
                Ok(Begun {
                    exchange,
                    head,
                    rest,
                    errors,
                    trace,
                })
            }
            Err((failure, progress)) => Err(Box::new(Failed {
                failure,
                progress,
                upload: exchange.into_upload(),
            })),
        }
    }

    fn pace(&self, arrived: Instant) -> Pace {
        let timeouts = &self.fastcgi.upstream.timeouts;
        let left = timeouts
            .queue
            .saturating_sub(arrived.elapsed())
            .max(Duration::from_millis(1));
        Pace {
            acknowledge: if timeouts.queue.is_zero() {
                Duration::ZERO
            } else {
                left
            },
            first_byte: timeouts.first_byte,
            idle: timeouts.idle,
            client: self.fastcgi.spool.pause,
        }
    }

    /// RFC 3875 §6: the head, and what of the content came with it.
    async fn head(
        &self,
        exchange: &mut Exchange<Lease>,
        errors: &mut ErrorStream,
    ) -> Result<(ScriptHead, BytesMut), (Failure, Progress)> {
        let upstream = || self.fastcgi.upstream.name.clone();
        let mut buffer = BytesMut::new();
        let mut scanned = 0;
        loop {
            match exchange.answer().await {
                Some(Ok(Answer::Stdout(piece))) => buffer.extend_from_slice(&piece),
                Some(Ok(Answer::Stderr(piece))) => {
                    errors.push(&piece);
                    continue;
                }
                Some(Ok(Answer::End {
                    status: ProtocolStatus::RequestComplete,
                    ..
                }))
                | None => return Err((Failure::NoHead(upstream()), Progress::Answering)),
                Some(Ok(Answer::End { status, .. })) => {
                    return Err((
                        Failure::Refused {
                            upstream: upstream(),
                            status,
                        },
                        Progress::Answering,
                    ));
                }
                Some(Err(broken)) => return Err(self.broken(broken)),
            }
            match parse_from(&buffer, scanned, HeadLimits::default()) {
                Ok(Some((head, length))) => {
                    let rest = buffer.split_off(length);
                    return Ok((head, rest));
                }
                Ok(None) => scanned = buffer.len(),
                Err(error) => {
                    return Err((
                        Failure::Head {
                            upstream: upstream(),
                            error,
                        },
                        Progress::Answering,
                    ));
                }
            }
        }
    }

    fn broken(&self, broken: Broken) -> (Failure, Progress) {
        let progress = broken.progress;
        (
            Failure::Exchange {
                upstream: self.fastcgi.upstream.name.clone(),
                broken,
            },
            progress,
        )
    }
}

/// What goes onto the connection, and how (design §4.3).
fn outbound(lease: &mut Lease, request: &Request, records: &Bytes, upload: Upload) -> Outbound {
    let entry = lease.entry(!request.is_safe());
    let hold = entry == Entry::Probe && !request.is_safe() && lease.must_hold();
    let begin = if entry == Entry::Plain {
        PROBE.len()
    } else {
        0
    };
    let end = records.len()
        - if hold {
            crate::fastcgi::record::HEADER_LEN
        } else {
            0
        };
    Outbound {
        head: records.slice(begin..end),
        held: hold.then(|| records.slice(end..)),
        probed: entry == Entry::Probe,
        upload,
    }
}

/// The response: whole with its length where the answer is short and already here.
fn respond(begun: Begun, request: &Request) -> Response<Body> {
    let Begun {
        mut exchange,
        head,
        mut rest,
        mut errors,
        trace,
    } = begun;
    let mut cut = None;
    while !exchange.has_ended() && rest.len() < SMALL_ANSWER {
        match exchange.answer().now_or_never() {
            Some(Some(Ok(Answer::Stdout(piece)))) => rest.extend_from_slice(&piece),
            Some(Some(Ok(Answer::Stderr(piece)))) => errors.push(&piece),
            Some(Some(Ok(Answer::End { app_status, .. }))) => errors.end(app_status),
            Some(Some(Err(broken))) => cut = Some(broken),
            Some(None) | None => break,
        }
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    let bodiless = request.method == http::Method::HEAD
        || matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let whole = exchange.has_ended()
        && cut.is_none()
        && head
            .content_length
            .is_none_or(|length| length == rest.len() as u64);
    let length = if whole && !bodiless {
        Some(rest.len() as u64)
    } else {
        head.content_length
    };
    if let Some(length) = length.filter(|_| head.status != StatusCode::NO_CONTENT) {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let mut body = if whole && !bodiless {
        exchange.into_upload().linger();
        Body::bytes(rest.freeze())
    } else {
        let streaming = Streaming::new(exchange, rest.freeze(), head.content_length, cut, errors);
        if bodiless {
            streaming.finish();
            Body::empty()
        } else {
            Body::streaming(streaming)
        }
    };
    body.trace = trace;
    *response.body_mut() = body;
    response
}

//! One request on one connection: the request's content out and the answer's records in at the same time, in
//! one task and with back-pressure both ways. An application that answers early, stops reading or floods STDERR
//! can therefore not block it (docs/internals/php-fpm.md, "Workers and connections").
//!
//! The exchange is polled by the reader of the answer, in the end by hyper through the response body; there is
//! no task and no channel in between. Dropping it drops the connection.

mod overdue;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, timeout};
use tokio_util::io::poll_read_buf;

use super::broken::{Broken, ExchangeError, Progress};
use super::decoder::{Decoder, Event};
use super::link::{Ended, Link, Outbound};
use super::management::{PROBE, Values};
use super::pace::Pace;
use super::record::ProtocolError;
use super::stdin::Outgoing;
use crate::message::Upload;
use crate::moment;
use crate::threads;
use crate::timer::Stall;

/// Size of the first read: holds most pages whole.
const FIRST_READ: usize = 16 * 1024;

/// Size of further reads: 23 % fewer instructions than 16 KiB on long answers (docs/internals/limits.md,
/// "FastCGI").
const NEXT_READ: usize = 64 * 1024;

/// Time limit for an exchange after its client has gone (docs/internals/admission.md, "After the client has
/// left"): long enough to finish an order or an import, and finite.
const RUN_ON: Duration = Duration::from_secs(600);

/// Limit on pieces that are copied.
const SMALL_PIECE: usize = 4 * 1024;

/// One request and its answer on the connection `L`.
#[derive(Debug)]
pub struct Exchange<L: Link> {
    link: Option<L>,
    decoder: Decoder,
    input: BytesMut,
    outgoing: Outgoing,
    answer: Stage,
    /// Duration of the application's own queue.
    acknowledged_after: Option<Duration>,
    /// Earliest time at which a worker may have begun.
    at_work_since: Option<Instant>,
    pace: Pace,
    stall: Stall,
    runs_on: bool,
    has_trailing_probe: bool,
}

/// Progress of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The probe is not answered.
    Unacknowledged,
    /// No byte of the answer has come.
    Waiting,
    /// The answer is arriving.
    Arriving,
    /// END_REQUEST was read.
    Ended,
}

/// A part of an answer.
#[derive(Debug)]
pub enum Answer {
    /// A piece of the document response.
    Stdout(Bytes),
    /// A piece of the application's error stream.
    Stderr(Bytes),
    /// END_REQUEST: the answer is complete.
    End {
        /// The application's exit status; not an error by itself.
        app_status: u32,
        /// FCGI_REQUEST_COMPLETE, or the reason of a refusal.
        status: super::record::ProtocolStatus,
    },
}

impl<L: Link> Exchange<L> {
    /// Starts an exchange on a connection; nothing is written before the first poll.
    pub fn start(link: L, outbound: Outbound, pace: Pace) -> Self {
        let answer = if outbound.probed {
            Stage::Unacknowledged
        } else {
            Stage::Waiting
        };
        Self {
            link: Some(link),
            decoder: Decoder::behind(outbound.over, outbound.id),
            input: BytesMut::new(),
            outgoing: Outgoing::new(
                outbound.id,
                (outbound.head, outbound.held),
                if outbound.has_trailing_probe {
                    PROBE
                } else {
                    &[]
                },
                outbound.upload,
            ),
            has_trailing_probe: outbound.has_trailing_probe,
            answer,
            acknowledged_after: None,
            at_work_since: (!outbound.probed).then(moment::now),
            pace,
            stall: Stall::default(),
            runs_on: outbound.runs_on,
        }
    }

    /// Polls for the next part of the answer; `None` after `End`. The connection is given back as soon as
    /// END_REQUEST is read.
    pub fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Answer, Broken>>> {
        if self.answer == Stage::Ended {
            return Poll::Ready(None);
        }
        let polled = match self.check_total() {
            Ok(()) => ready!(self.poll_event(cx)),
            // An application that never pauses meets no timer.
            Err(overdue) => Err(overdue),
        };
        match polled {
            Ok(answer) => Poll::Ready(Some(Ok(answer))),
            Err(error) => {
                let progress = self.progress(&error);
                self.link = None;
                self.answer = Stage::Ended;
                Poll::Ready(Some(Err(Broken { error, progress })))
            }
        }
    }

    /// Waits for the next part of the answer.
    pub async fn answer(&mut self) -> Option<Result<Answer, Broken>> {
        std::future::poll_fn(|cx| self.poll_answer(cx)).await
    }

    /// Reports whether END_REQUEST was read, or the exchange failed.
    pub fn has_ended(&self) -> bool {
        self.answer == Stage::Ended
    }

    /// Returns the duration of the application's own queue, if a probe preceded the request.
    pub fn acknowledged_after(&self) -> Option<Duration> {
        self.acknowledged_after
    }

    /// Reports whether the connection took the whole request.
    pub fn is_sent(&self) -> bool {
        self.outgoing.is_complete()
    }

    /// Returns the end of the request's total time limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.pace.total.map(|total| total.deadline)
    }

    /// Reports whether requests wait for its worker.
    pub fn is_waited_for(&self) -> bool {
        self.link.as_ref().is_some_and(L::is_waited_for)
    }

    /// Reports whether no content was read from the client, so that it can still be sent whole.
    pub fn is_content_untouched(&self) -> bool {
        self.outgoing.is_untouched()
    }

    /// Reports whether the rest of the request is in the gateway, independent of the client.
    pub fn is_in_hand(&self) -> bool {
        self.outgoing.is_in_hand()
    }

    /// Returns the rest of the client's content and ends the exchange.
    pub fn into_upload(mut self) -> Upload {
        self.outgoing.take_upload()
    }

    /// Lets the application finish although its answer is no longer read.
    pub fn run_on(&mut self) {
        self.runs_on = true;
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, ExchangeError>> {
        loop {
            if let Some(event) = self.decoder.next(&mut self.input)? {
                match self.take(event)? {
                    Some(answer) => return Poll::Ready(Ok(answer)),
                    None => continue,
                }
            }
            let Some(link) = self.link.as_mut() else {
                return Poll::Ready(Err(ExchangeError::Closed));
            };
            let taken = self.outgoing.taken();
            if let Poll::Ready(Err(error)) = self.outgoing.poll_send(link, cx) {
                return Poll::Ready(Err(ExchangeError::Upload(error)));
            }
            if self.outgoing.taken() != taken {
                self.stall.progress();
            }
            self.input.reserve(if self.answer == Stage::Arriving {
                NEXT_READ
            } else {
                FIRST_READ
            });
            match poll_read_buf(Pin::new(link), cx, &mut self.input) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(ExchangeError::Closed)),
                Poll::Ready(Ok(_)) => self.stall.progress(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(ExchangeError::Reset(error))),
                Poll::Pending => return self.poll_overdue(cx),
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<Option<Answer>, ProtocolError> {
        Ok(Some(match event {
            Event::Values(content) => {
                if let Some(values) = Values::read(&content) {
                    self.acknowledge(values)?;
                }
                return Ok(None);
            }
            Event::Stdout(content) => {
                self.answer = Stage::Arriving;
                Answer::Stdout(detach(content))
            }
            Event::Stderr(content) => {
                self.answer = Stage::Arriving;
                Answer::Stderr(detach(content))
            }
            Event::End {
                app_status,
                protocol_status,
            } => {
                self.end();
                Answer::End {
                    app_status,
                    status: protocol_status,
                }
            }
        }))
    }

    /// Accepts an answer to a probe. Answers come in the order of their probes, so one without a probe is an
    /// error.
    fn acknowledge(&mut self, values: Values) -> Result<(), ProtocolError> {
        let took = self
            .link
            .as_mut()
            .and_then(|link| link.acknowledged(values));
        self.acknowledged_after = Some(took.ok_or(ProtocolError::UnexpectedValues)?);
        self.at_work_since.get_or_insert_with(moment::now);
        if self.answer == Stage::Unacknowledged {
            self.answer = Stage::Waiting;
            self.stall.progress();
            self.outgoing.release();
        }
        Ok(())
    }

    /// Gives the connection back: the answer is complete. Later work of the script is up to the link.
    fn end(&mut self) {
        self.answer = Stage::Ended;
        self.decoder.end();
        if let Some(link) = self.link.take() {
            link.end(Ended {
                decoder: std::mem::take(&mut self.decoder),
                input: std::mem::take(&mut self.input),
                is_sent: self.outgoing.is_complete(),
                is_probed: self.has_trailing_probe && self.outgoing.is_complete(),
            });
        }
    }

    /// Returns how much of the request may have been executed (docs/internals/php-fpm.md, "What was not
    /// executed").
    fn progress(&self, error: &ExchangeError) -> Progress {
        if matches!(error, ExchangeError::Timeout(..) | ExchangeError::Upload(_)) {
            return Progress::Settled;
        }
        match self.answer {
            Stage::Arriving | Stage::Ended => Progress::Settled,
            Stage::Unacknowledged => Progress::NotExecuted,
            Stage::Waiting if self.outgoing.taken() == 0 => Progress::NotExecuted,
            Stage::Waiting => {
                let since = self.at_work_since.unwrap_or_else(moment::now);
                Progress::Unknown(moment::now().duration_since(since))
            }
        }
    }
}

/// Copies a small piece out of the buffer that it came in: a client that does not read would hold one for each
/// piece.
fn detach(content: Bytes) -> Bytes {
    if content.len() < SMALL_PIECE {
        Bytes::copy_from_slice(&content)
    } else {
        content
    }
}

/// Lets a worker finish whose client has gone or has its whole answer, if the method is unsafe and the gateway
/// has the rest of the request. Otherwise the connection is closed, which takes a request out of the server's
/// queue and informs PHP at its next flush.
impl<L: Link> Drop for Exchange<L> {
    fn drop(&mut self) {
        let at_work = matches!(self.answer, Stage::Waiting | Stage::Arriving);
        let in_hand = self.outgoing.is_complete() || self.outgoing.is_in_hand();
        let may_run = self.check_total().is_ok() && !threads::is_ending();
        if !(self.runs_on && at_work && in_hand && may_run) {
            return;
        }
        let Some(link) = self.link.take() else {
            return;
        };
        let mut rest = Self {
            link: Some(link),
            decoder: std::mem::take(&mut self.decoder),
            input: std::mem::take(&mut self.input),
            outgoing: std::mem::take(&mut self.outgoing),
            answer: self.answer,
            acknowledged_after: self.acknowledged_after,
            at_work_since: self.at_work_since,
            pace: self.pace,
            stall: Stall::default(),
            runs_on: false,
            has_trailing_probe: self.has_trailing_probe,
        };
        threads::spawn_background(async move {
            let _ = timeout(RUN_ON, async {
                while let Some(Ok(_)) = rest.answer().await {}
            })
            .await;
        });
    }
}

//! State of an answer shared by the body and the sweep: PHP's end, the store, and the task that polls.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use crate::handler::answer::incoming::Incoming;
use crate::handler::answer::store::Store;
use crate::handler::answer::streaming::Streaming;
use crate::handler::answer::sweep::{SweepStep, Watched};
use crate::handler::answer::terms::Terms;
use crate::handler::cut::Cut;
use crate::limits::budget::Owner;
use crate::message::charged_bytes::charge_bytes;

/// Limit on pieces that are copied on an HTTP/2 stream: a frame may stay in the connection for long and would
/// hold all that was read with it. A larger one is charged to its client.
const COPIED: usize = 16 * 1024;

/// Size of a piece on a stream whose client has its share of `server.answer_memory`.
const LEAST: usize = 4 * 1024;

/// Bytes read from PHP before the task yields.
const STRETCH: usize = 256 * 1024;

/// Consecutive ticks for which an answer must block others before it is cut: half a second.
const PATIENCE: u32 = 10;

/// Cause code of an answer that was not sent within the total time limit.
const OVERDUE: &str = "TIMEOUT_TOTAL";

/// State shared by the body and the sweep.
#[derive(Debug)]
pub(super) struct Shared<I: Incoming> {
    terms: Terms,
    state: Mutex<State<I>>,
}

#[derive(Debug)]
struct State<I: Incoming> {
    /// PHP's end; `None` once it has ended.
    streaming: Option<Streaming<I>>,
    /// Bytes not taken by the client, while it lags.
    store: Option<Box<Store>>,
    /// The next bytes after the store, which had no room for them.
    piece: Bytes,
    /// The end of the answer as seen by the sweep, or the reason for the cut.
    end: Result<(), Cut>,
    /// On an HTTP/2 stream: the longest time without room before the answer is cut; zero is no limit.
    on_stream: Option<Duration>,
    /// True if the body was polled since the last tick.
    asked: bool,
    /// True if the body waits for PHP, and whether it did at any time since the last tick.
    waits_for_php: bool,
    waited_for_php: bool,
    /// The body's waker, while the sweep may still read from PHP for it.
    reader: Option<Waker>,
    lagging_since: Option<Instant>,
    /// Consecutive ticks at which it blocked others.
    blocking_ticks: u32,
    filling: Filling,
}

/// The task that polls PHP.
#[derive(Debug)]
enum Filling {
    /// The body.
    Off,
    /// The sweep, which has not begun.
    Asked,
    /// The sweep, with its waker.
    On(Waker),
    /// The body again, as soon as the sweep has noticed.
    Ending(Waker),
}

impl<I: Incoming> Shared<I> {
    pub(super) fn new(terms: Terms, streaming: Option<Streaming<I>>, piece: Bytes) -> Self {
        Self {
            terms,
            state: Mutex::new(State {
                streaming,
                store: None,
                piece,
                end: Ok(()),
                on_stream: None,
                asked: false,
                waits_for_php: false,
                waited_for_php: true,
                reader: None,
                lagging_since: None,
                blocking_ticks: 0,
                filling: Filling::Off,
            }),
        }
    }

    /// Implements [`UpstreamContent::watch`](super::UpstreamContent::watch).
    pub(super) fn set_on_stream(&self, pause: Duration) {
        self.lock().on_stream = Some(pause);
    }

    /// Stores the content. Reports whether there was room for all of it.
    pub(super) fn store(&self) -> bool {
        self.lock().place(&self.terms)
    }

    /// Polls for stored bytes, then for PHP's, then for the end of the answer.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        self.lock().poll_next(&self.terms, cx)
    }

    /// Ends the exchange: the body was dropped.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.stop_filling();
        let streaming = state.streaming.take();
        drop(state);
        drop(streaming);
    }

    /// Returns the fault that has cut the answer, once nothing before it is left.
    pub(super) fn fault(&self) -> Option<Cut> {
        let state = self.lock();
        let is_drained = state.store.is_none() && state.piece.is_empty();
        state.end.err().filter(|_| is_drained)
    }

    /// Cuts the answer, drops its stored bytes and returns PHP's end.
    fn cut(&self, cause: &'static str) -> Option<Streaming<I>> {
        let mut state = self.lock();
        state.stop_filling();
        state.end = Err(Cut(cause));
        let stored = (state.store.take(), std::mem::take(&mut state.piece));
        let streaming = state.streaming.take();
        drop(state);
        drop(stored);
        streaming
    }

    /// Locks the state. A poisoned lock guards a state that is consistent at every moment.
    fn lock(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: Incoming> Watched for Shared<I> {
    fn owner(&self) -> Owner {
        self.terms.owner
    }

    fn examine(&self, now: Instant) -> SweepStep {
        self.lock().examine(&self.terms, now)
    }

    fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().poll_fill(&self.terms, cx)
    }

    fn give_up(&self, cause: &'static str, why: &str) {
        if let Some(mut streaming) = self.cut(cause) {
            streaming.give_up(cause, why);
        }
    }

    fn expire(&self) {
        if let Some(mut streaming) = self.cut(OVERDUE) {
            streaming.expire(OVERDUE);
        }
    }
}

impl<I: Incoming> State<I> {
    fn poll_next(
        &mut self,
        terms: &Terms,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Cut>>> {
        self.asked = true;
        if let Some(store) = &mut self.store {
            match store.take() {
                Ok(Some(piece)) => {
                    self.wake_filling();
                    return Poll::Ready(Some(Ok(piece)));
                }
                Ok(None) => self.store = None,
                Err(error) => {
                    tracing::error!(%error, "reading the buffer file of an answer failed");
                    return Poll::Ready(Some(Err(Cut("SPOOL"))));
                }
            }
        }
        // The client has caught up.
        self.stop_filling();
        if !self.piece.is_empty() {
            let piece = std::mem::take(&mut self.piece);
            return Poll::Ready(Some(Ok(self.hand_out(piece, terms))));
        }
        let Some(streaming) = &mut self.streaming else {
            return Poll::Ready(self.end.err().map(Err));
        };
        let next = streaming.poll_piece(cx);
        self.waits_for_php = next.is_pending();
        self.waited_for_php |= next.is_pending();
        if next.is_pending() && !matches!(self.filling, Filling::Off) {
            self.reader = Some(cx.waker().clone());
        }
        next.map_ok(|piece| self.hand_out(piece, terms))
    }

    /// Returns as much of `piece` as may stay in a connection.
    fn hand_out(&mut self, mut piece: Bytes, terms: &Terms) -> Bytes {
        if self.on_stream.is_none() {
            return piece;
        }
        if piece.len() <= COPIED {
            return Bytes::copy_from_slice(&piece);
        }
        match terms.charged(piece.len()) {
            Some(part) => charge_bytes(piece, part),
            None => {
                let first = piece.get(..LEAST).map(Bytes::copy_from_slice);
                piece.advance(LEAST);
                self.piece = piece;
                first.unwrap_or_default()
            }
        }
    }

    /// Examines the answer. hyper polls for as much as it has room for: an answer that it has not polled since
    /// the last tick lags.
    fn examine(&mut self, terms: &Terms, now: Instant) -> SweepStep {
        if self.streaming.is_none() && self.store.is_none() && self.piece.is_empty() {
            return SweepStep::Forget;
        }
        // Whoever waits for PHP is woken at the deadline by the exchange, whose end would wake nobody.
        if terms.deadline.is_some_and(|end| now >= end) && !self.waits_for_php {
            return SweepStep::Overdue;
        }
        if std::mem::take(&mut self.asked) || self.waits_for_php {
            self.lagging_since = None;
        } else {
            let lags = now.duration_since(*self.lagging_since.get_or_insert(now));
            let pause = self.on_stream.filter(|pause| !pause.is_zero());
            if pause.is_some_and(|pause| lags >= pause) {
                return SweepStep::Stalled;
            }
        }
        // A client that waits for PHP now and then takes all that PHP makes.
        let keeps_up = std::mem::replace(&mut self.waited_for_php, self.waits_for_php);
        if self.streaming.is_none() || terms.limit == 0 {
            return SweepStep::Leave;
        }
        let is_blocked = !self.piece.is_empty() && self.is_over_share();
        match &self.filling {
            Filling::Off if keeps_up => SweepStep::Leave,
            Filling::Off => {
                self.filling = Filling::Asked;
                SweepStep::Fill
            }
            Filling::Asked => SweepStep::Leave,
            Filling::Ending(_) if self.waits_for_php => SweepStep::Leave,
            Filling::Ending(waker) | Filling::On(waker) => {
                // There may be room again.
                waker.wake_by_ref();
                self.filling = Filling::On(waker.clone());
                self.check_patience(is_blocked)
            }
        }
    }

    fn check_patience(&mut self, is_blocked: bool) -> SweepStep {
        let streaming = self.streaming.as_ref();
        let is_blocking = is_blocked && streaming.is_some_and(Streaming::is_blocking);
        self.blocking_ticks = if is_blocking {
            self.blocking_ticks + 1
        } else {
            0
        };
        if self.blocking_ticks >= PATIENCE {
            SweepStep::OverShare
        } else {
            SweepStep::Leave
        }
    }

    fn is_over_share(&self) -> bool {
        self.store
            .as_ref()
            .is_some_and(|store| store.is_over_share())
    }

    fn poll_fill(&mut self, terms: &Terms, cx: &mut Context<'_>) -> Poll<()> {
        match &self.filling {
            Filling::Asked => {}
            Filling::On(waker) if waker.will_wake(cx.waker()) => {}
            // A second fill of the same answer.
            Filling::On(_) => return Poll::Ready(()),
            Filling::Off | Filling::Ending(_) => {
                self.filling = Filling::Off;
                return Poll::Ready(());
            }
        }
        self.filling = Filling::On(cx.waker().clone());
        let filled = self.fill(terms, cx);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        filled
    }

    fn fill(&mut self, terms: &Terms, cx: &mut Context<'_>) -> Poll<()> {
        let mut taken = 0;
        while taken < STRETCH {
            if !self.place(terms) {
                return Poll::Pending;
            }
            let Some(streaming) = &mut self.streaming else {
                self.filling = Filling::Off;
                return Poll::Ready(());
            };
            match ready!(streaming.poll_piece(cx)) {
                Some(Ok(piece)) => {
                    taken += piece.len();
                    self.piece = piece;
                }
                Some(Err(cut)) => (self.end, self.streaming) = (Err(cut), None),
                None => (self.end, self.streaming) = (Ok(()), None),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Stores the piece. Reports whether nothing of it is left.
    fn place(&mut self, terms: &Terms) -> bool {
        if !self.piece.is_empty() {
            let store = self.store.get_or_insert_with(|| Box::new(terms.store()));
            store.put(&mut self.piece);
        }
        self.piece.is_empty()
    }

    fn wake_filling(&self) {
        if let Filling::On(waker) = &self.filling
            && !self.piece.is_empty()
        {
            waker.wake_by_ref();
        }
    }

    /// Returns the polling of PHP to the body.
    fn stop_filling(&mut self) {
        self.blocking_ticks = 0;
        if let Filling::On(waker) | Filling::Ending(waker) = &self.filling {
            waker.wake_by_ref();
            self.filling = Filling::Ending(waker.clone());
        } else if matches!(self.filling, Filling::Asked) {
            self.filling = Filling::Off;
        }
    }
}

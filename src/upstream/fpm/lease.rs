//! A connection leased to one request. Dropped, it is closed; passed on, it serves the next.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::admission::{After, Class, Slot};
use super::cooling;
use super::member::Member;
use crate::fastcgi::management::Values;
use crate::fastcgi::record::Id;
use crate::fastcgi::{Ended, Link};
use crate::moment;
use crate::stream::Stream;
use crate::timer::Timer;
use crate::upstream::demand::Deadline;
use crate::upstream::pool::Pooled;

/// A connection, or the right to open one, and its place in the member's account.
#[derive(Debug)]
pub struct Lease {
    member: Arc<Member>,
    slot: Option<Slot>,
    connection: Option<Pooled>,
    /// Time of the unanswered probe in front of the request.
    probed: Option<Instant>,
    is_fresh: bool,
    /// Set while the worker is proven: a scout has just found it, or it has just completed a request.
    is_proven: bool,
    /// Start of the request that has it.
    leased: Option<Instant>,
    /// The time spent until now.
    pub waits: Waits,
}

/// The times that a request waited before its worker had it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waits {
    /// In our queue.
    pub queue: Duration,
    /// Connecting.
    pub connect: Duration,
}

/// The way of a request onto a leased connection (docs/internals/admission.md, "The probe in front").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Without a probe: a worker is known to be there, or the server never acknowledges.
    Plain,
    /// With a probe in front, in the same write; its answer is certain to come first.
    Probe,
}

impl Lease {
    pub(super) fn held(member: &Arc<Member>, connection: Pooled, slot: Slot) -> Self {
        let mut lease = Self::opening(member, slot);
        lease.connection = Some(connection);
        lease.is_fresh = false;
        lease
    }

    /// Builds the lease of a connection whose worker has just been seen.
    pub(super) fn proven(member: &Arc<Member>, connection: Pooled, slot: Slot) -> Self {
        let mut lease = Self::held(member, connection, slot);
        lease.is_proven = true;
        lease
    }

    pub(super) fn opening(member: &Arc<Member>, slot: Slot) -> Self {
        Self {
            member: Arc::clone(member),
            slot: Some(slot),
            connection: None,
            probed: None,
            is_fresh: true,
            is_proven: false,
            leased: None,
            waits: Waits::default(),
        }
    }

    /// Assigns the lease to a request.
    pub(super) fn start_request(mut self, deadline: Deadline) -> Self {
        let now = moment::now();
        let numbers = self.member.numbers();
        numbers.wait.add(now.duration_since(deadline.since));
        if self.is_fresh {
            numbers.fresh.add();
        } else {
            numbers.reused.add();
            self.waits.queue = now.duration_since(deadline.since);
        }
        self.leased = Some(now);
        self
    }

    /// Returns the way of the request onto this connection; `unsafe_method`: it must not run twice.
    pub fn entry(&mut self, unsafe_method: bool) -> Entry {
        let known = self.slot.as_ref().is_some_and(Slot::is_acknowledged);
        // A worker may leave between two requests: only an answered probe proves the contrary.
        let is_there = known && (self.is_proven || !unsafe_method);
        if is_there || !self.member.class().acknowledges() {
            return Entry::Plain;
        }
        self.probed = Some(moment::now());
        Entry::Probe
    }

    /// Returns the id of the next request on this connection, and that of the previous one unless its script is
    /// proven done.
    pub fn request_ids(&self) -> (Id, Option<Id>) {
        let served = self.slot.as_ref().map_or(0, Slot::served);
        let unproven = served > 0 && !self.member.class().acknowledges();
        (Id::nth(served), unproven.then(|| Id::nth(served - 1)))
    }

    /// Reports whether a request that must not run twice has to wait for the acknowledgement before it is complete:
    /// on new connections, and on TCP, where a write behind an unacknowledged one costs 40 ms
    /// (docs/internals/php-fpm.md, "The probe").
    pub fn must_hold(&self) -> bool {
        self.is_fresh || self.stream().is_some_and(Stream::is_tcp)
    }

    /// Reports whether the probe that detects the end of the worker may follow the request in the same write: PHP-FPM
    /// reads no further than the request. On TCP the answer would wait for a delayed acknowledgement.
    pub fn can_probe_behind(&self) -> bool {
        self.member.is_local_fpm() && self.member.class() == Class::Kept
    }

    /// Returns the server of the connection.
    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }

    fn stream(&self) -> Option<&Stream> {
        self.connection.as_ref().and_then(Pooled::get)
    }

    /// Reports whether the connection is open, not only the right to open one.
    pub(super) fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// Moves the connection to this thread, if it was used on another, and reports whether that succeeded.
    pub(super) fn settle(&mut self) -> bool {
        let connection = self.connection.as_mut();
        connection.is_some_and(|connection| connection.settle().is_ok())
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.stream().is_some_and(Stream::is_quiet)
    }

    pub(super) fn set_connection(&mut self, connection: Option<Pooled>) {
        self.connection = connection;
        self.is_fresh = true;
    }

    /// Records an answered probe: the worker belongs to this lease.
    pub(super) fn acknowledge(&mut self, took: Duration) {
        self.is_proven = true;
        if let Some(slot) = &mut self.slot {
            self.member.acknowledged(slot, took);
        }
    }

    /// Records the end of the request, and returns what to do with the connection.
    pub(super) fn cool(&mut self, reusable: bool) -> After {
        if let Some(leased) = self.leased.take() {
            let took = moment::now().duration_since(leased);
            self.member.numbers().record_service(took);
        }
        match &mut self.slot {
            Some(slot) => self.member.cool(slot, reusable),
            None => After::HalfClose,
        }
    }

    pub(super) fn into_parts(mut self) -> Option<(Pooled, Slot)> {
        match (self.connection.take(), self.slot.take()) {
            (Some(connection), Some(slot)) => Some((connection, slot)),
            (connection, slot) => {
                (self.connection, self.slot) = (connection, slot);
                None
            }
        }
    }

    /// Passes an open, unused connection to the next waiting request.
    pub(in crate::upstream) fn pass_on(self) {
        let member = Arc::clone(&self.member);
        if let Some((connection, slot)) = self.into_parts() {
            member.place(connection, slot);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        if self.leased.is_some() {
            self.member.numbers().broken.add();
        }
        if let Some(connection) = self.connection.take() {
            // With an unanswered probe the request may still be in the server's backlog.
            if self.probed.is_some()
                && let Some(stream) = connection.get()
            {
                stream.reset_on_close();
            }
            drop(connection);
        }
        self.member.closed(&slot);
    }
}

impl Link for Lease {
    fn acknowledged(&mut self, values: Values) -> Option<Duration> {
        let took = moment::now().duration_since(self.probed.take()?);
        if !matches!(self.member.class(), Class::Kept | Class::Multiplexed) {
            self.member.classify(Class::of(values));
        }
        self.acknowledge(took);
        Some(took)
    }

    fn is_waited_for(&self) -> bool {
        self.member.is_short_of_workers()
    }

    fn timer(&mut self) -> Option<&mut Timer> {
        self.connection.as_mut().map(|pooled| &mut pooled.timer)
    }

    fn end(mut self, ended: Ended) {
        let is_unanswered = self.probed.take().is_some();
        // On a connection that has served, the probe may have been lost with input that a script did not read.
        if is_unanswered && self.is_fresh {
            self.member.classify(Class::Silent);
        }
        cooling::start(self, ended, is_unanswered);
    }
}

impl AsyncRead for Lease {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.connection.as_mut().and_then(Pooled::get_mut) {
            Some(stream) => Pin::new(stream).poll_read(cx, buffer),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Lease {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.connection.as_mut().and_then(Pooled::get_mut) {
            Some(stream) => Pin::new(stream).poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.connection.as_mut().and_then(Pooled::get_mut) {
            Some(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.connection.as_mut().and_then(Pooled::get_mut) {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

//! Leasing a connection for a request: at once, through the queue, or refused.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::admission::Ticket;
use super::lease::Lease;
use super::member::{Admitted, Member};
use crate::limits::budget::Over;
use crate::moment;
use crate::timer::Timer;
use crate::upstream::demand::{Deadline, Demand, LeaseError, Order};

impl Member {
    /// Returns a connection for a request: an idle one, a new one, or one granted by the queue.
    pub(super) async fn obtain_lease(
        self: &Arc<Self>,
        Demand {
            flow,
            mut order,
            deadline,
        }: Demand,
    ) -> Result<Lease, LeaseError> {
        if order == Order::First {
            self.numbers().retried.add();
        }
        if let Some(refusal) = self.condition.refusal(moment::now()) {
            return Err(refusal);
        }
        loop {
            let mut lease = match self.arrive(order, &flow) {
                Admitted::Idle(lease) => lease,
                Admitted::Open(lease) => return self.open_lease(lease, deadline).await,
                Admitted::Wait(ticket, receiver) => {
                    let mut waiting = Waiting::new(self, ticket, receiver);
                    let Some(lease) = waiting.wait_for_grant(deadline.at()).await else {
                        return Err(self.timeout_error(deadline));
                    };
                    waiting.ticket = None;
                    if !lease.is_open() {
                        return self.open_lease(lease, deadline).await;
                    }
                    lease
                }
                Admitted::Full(over) => return Err(self.queue_full(over)),
            };
            if lease.settle() && lease.is_quiet() {
                return Ok(lease.start_request(deadline));
            }
            // Closed, or with unexpected data, since its last answer: the drop closes it, and the next is tried.
            self.numbers().stale.add();
            order = Order::First;
        }
    }

    async fn open_lease(&self, lease: Lease, deadline: Deadline) -> Result<Lease, LeaseError> {
        // Boxed: connecting is rare, and would double the size of each request's future.
        Ok(Box::pin(lease.open(deadline))
            .await?
            .start_request(deadline))
    }

    fn timeout_error(&self, deadline: Deadline) -> LeaseError {
        if let Some(refusal) = self.condition.refusal(Instant::now()) {
            return refusal;
        }
        match self.condition.last_connect_error() {
            Some(error) => self.connect_error(error),
            None => self.queue_timeout(deadline),
        }
    }

    pub(super) fn queue_timeout(&self, deadline: Deadline) -> LeaseError {
        self.numbers().queue_timeout.add();
        LeaseError::QueueTimeout {
            limit: deadline.limit,
            retry_after: self.retry_after(),
        }
    }

    fn queue_full(&self, over: Over) -> LeaseError {
        self.numbers().record_queue_full(over);
        LeaseError::QueueFull {
            over,
            length: self.queue_length(),
            retry_after: self.retry_after(),
        }
    }

    fn retry_after(&self) -> u64 {
        let (waiting, busy) = {
            let account = self.account();
            (account.waiting(), account.busy())
        };
        self.numbers().retry_after(waiting, busy)
    }
}

/// A place in the queue, left when dropped, which happens the moment the client disconnects. A lease granted
/// meanwhile drops with the receiver and goes to the next request.
struct Waiting {
    member: Arc<Member>,
    ticket: Option<Ticket>,
    receiver: oneshot::Receiver<Lease>,
    timer: Timer,
}

impl Waiting {
    fn new(member: &Arc<Member>, ticket: Ticket, receiver: oneshot::Receiver<Lease>) -> Self {
        Self {
            member: Arc::clone(member),
            ticket: Some(ticket),
            receiver,
            timer: Timer::take(),
        }
    }

    /// Returns the lease granted before `deadline`.
    async fn wait_for_grant(&mut self, deadline: Instant) -> Option<Lease> {
        poll_fn(|cx| match Pin::new(&mut self.receiver).poll(cx) {
            Poll::Ready(granted) => Poll::Ready(granted.ok()),
            Poll::Pending => self.timer.poll_at(deadline, cx).map(|()| None),
        })
        .await
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        std::mem::take(&mut self.timer).put();
        let Some(ticket) = self.ticket else { return };
        self.member.leave(ticket);
        self.receiver.close();
        // Granted at the same moment: an open connection is passed on, not wasted.
        if let Ok(lease) = self.receiver.try_recv() {
            lease.pass_on();
        }
    }
}

//! How a request comes to a connection: at once, or through the queue, or not at all.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::admission::Ticket;
use super::denied;
use super::lease::Lease;
use super::member::{Admitted, Member, Order};
use crate::limits::budget::Over;
use crate::moment;
use crate::timer::Timer;
use crate::upstream::flow::Flow;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The client or site has its share of the places in the queue, or all are taken.
    #[error("{}: queue_length = {length}", share_message(*.over))]
    QueueFull {
        /// Whose share it is.
        over: Over,
        /// The limit.
        length: usize,
        /// Seconds after which it is worth to ask again, from the measured service time.
        retry_after: u64,
    },
    /// `timeouts.queue` passed.
    #[error("no worker within {} ms", .limit.as_millis())]
    QueueTimeout {
        /// The limit.
        limit: Duration,
        /// Seconds after which it is worth to ask again, from the measured service time.
        retry_after: u64,
    },
    /// The server cannot be connected to.
    #[error("{address}: {error}")]
    Down {
        /// The server.
        address: String,
        /// What connecting said the last time.
        error: Arc<io::Error>,
    },
    /// The server can be connected to, and cannot be used. It is not asked again for a while.
    #[error("{address}: {why}")]
    Refused {
        /// The server.
        address: String,
        /// What is wrong with it, and what to do.
        why: Arc<str>,
    },
    /// The socket exists and we may not connect to it.
    #[error("{address}: {error}{why}")]
    Denied {
        /// Whose it is, who we are, and what to do.
        why: String,
        /// The server.
        address: String,
        /// What connecting said.
        error: Arc<io::Error>,
    },
}

/// Until when a connection is of use, and how long that was from the start.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// When the request began to want a connection.
    pub since: Instant,
    /// `timeouts.queue`; zero is no limit.
    pub limit: Duration,
}

/// What a request asks of an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Whose it is.
    pub flow: Flow,
    /// Where in the queue it waits.
    pub order: Order,
    /// How long it waits.
    pub deadline: Deadline,
}

impl Deadline {
    /// A day stands for no limit.
    pub(in crate::upstream) fn at(self) -> Instant {
        self.since
            + if self.limit.is_zero() {
                Duration::from_secs(86_400)
            } else {
                self.limit
            }
    }
}

impl Member {
    /// A connection for a request: an idle one, a new one, or after a wait in the queue.
    pub async fn lease(
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
        if let Some(refusal) = self.refusal(moment::now()) {
            return Err(refusal);
        }
        loop {
            let mut lease = match self.arrive(order, &flow) {
                Admitted::Idle(lease) => lease,
                Admitted::Open(lease) => return self.opened(lease, deadline).await,
                Admitted::Wait(ticket, receiver) => {
                    let mut waiting = Waiting::new(self, ticket, receiver);
                    let Some(lease) = waiting.granted(deadline.at()).await else {
                        return Err(self.waited_in_vain(deadline));
                    };
                    waiting.ticket = None;
                    if !lease.is_open() {
                        return self.opened(lease, deadline).await;
                    }
                    lease
                }
                Admitted::Full(over) => return Err(self.queue_full(over)),
            };
            if lease.settle() && lease.is_quiet() {
                return Ok(lease.begin(deadline));
            }
            // Closed or spoken to since its last answer: closed by the drop, and the next is tried.
            self.numbers().stale.add();
            order = Order::First;
        }
    }

    async fn opened(&self, lease: Lease, deadline: Deadline) -> Result<Lease, LeaseError> {
        // Boxed: connecting is seldom, and would make the future of each request twice as large.
        Ok(Box::pin(lease.open(deadline)).await?.begin(deadline))
    }

    fn waited_in_vain(&self, deadline: Deadline) -> LeaseError {
        if let Some(refusal) = self.refusal(Instant::now()) {
            return refusal;
        }
        match self.trouble() {
            Some(error) => connect_error(self, error),
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
        self.numbers().refused_place(over);
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

fn share_message(over: Over) -> &'static str {
    match over {
        Over::Total => "the queue is full",
        Over::Client => "this client has as many requests waiting as the queue has places left",
        Over::Site => {
            "this site has three times as many requests waiting as the queue has places left"
        }
    }
}

pub(super) fn connect_error(member: &Member, error: Arc<io::Error>) -> LeaseError {
    let address = member.address().to_string();
    if error.kind() == io::ErrorKind::PermissionDenied {
        let why = denied::explain(member.address());
        LeaseError::Denied {
            why,
            address,
            error,
        }
    } else {
        LeaseError::Down { address, error }
    }
}

/// A place in the queue; left when dropped, which happens the moment the client goes. A lease
/// that was granted meanwhile drops with the receiver and goes to the next.
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

    /// What is granted by then.
    async fn granted(&mut self, deadline: Instant) -> Option<Lease> {
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
        // Granted in the same moment: an open connection is passed on, not wasted.
        if let Ok(lease) = self.receiver.try_recv() {
            lease.pass_on();
        }
    }
}

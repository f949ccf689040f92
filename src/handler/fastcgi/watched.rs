//! An answer of PHP on an HTTP/2 stream: given up when its client takes nothing of it for
//! `send_pause`. The connection's own deadline cannot see that: other streams may well be moving,
//! and hyper asks a body for nothing while its stream has no window. Without this, as many streams
//! as PHP has workers, without a window, would hold all of them for ever.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::streaming::Streaming;
use crate::handler::Cut;

/// What the log says of an answer that was given up.
const CODE: &str = "CLIENT_STALLED";

/// The answer, of which hyper asks for the next piece when its stream has room.
#[derive(Debug)]
pub struct Watched {
    shared: Arc<Mutex<State>>,
    guard: AbortHandle,
}

#[derive(Debug)]
struct State {
    /// `None` once it was given up, which closes the connection to PHP.
    streaming: Option<Box<Streaming>>,
    /// Whether the client has asked since the last look.
    asked: bool,
    /// Whether it is PHP that is waited for.
    waits_for_php: bool,
}

impl Watched {
    /// Looks after `streaming` from now on; it is given up between one and two `pause`s after its
    /// client last had room.
    pub(in crate::handler) fn start(streaming: Box<Streaming>, pause: Duration) -> Self {
        let shared = Arc::new(Mutex::new(State {
            streaming: Some(streaming),
            asked: false,
            waits_for_php: false,
        }));
        let guard = tokio::spawn(look_after(Arc::downgrade(&shared), pause)).abort_handle();
        Self { shared, guard }
    }

    /// The next piece; `None` when the answer is whole.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let mut state = lock(&self.shared);
        state.asked = true;
        let Some(streaming) = state.streaming.as_mut() else {
            return Poll::Ready(Some(Err(Cut(CODE))));
        };
        let piece = streaming.poll_piece(cx);
        state.waits_for_php = piece.is_pending();
        piece
    }

    /// Whether nothing more comes.
    pub fn is_finished(&self) -> bool {
        let state = lock(&self.shared);
        state.streaming.as_ref().is_some_and(|s| s.is_finished())
    }

    /// Bytes still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        lock(&self.shared).streaming.as_ref()?.left()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.guard.abort();
    }
}

async fn look_after(shared: Weak<Mutex<State>>, pause: Duration) {
    loop {
        sleep(pause).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let mut state = lock(&shared);
        if !std::mem::take(&mut state.asked) && !state.waits_for_php {
            tracing::debug!("{CODE}: the client took nothing of an answer for limits.send_pause");
            state.streaming = None;
            return;
        }
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Grace period after the end of accepting: a connection without a request, even one still in the backlog, has one
//! second to send one. A client cannot know that it came too late, and a reset instead of a response is a failed
//! request behind every load balancer that retries connects only.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Time that a connection has for its first request: longer than a round trip, and short beside any drain.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Waits until a connection without a request has to end.
pub(super) async fn wait(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(FIRST_REQUEST).await;
}

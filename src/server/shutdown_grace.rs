//! The end of accepting: whoever is connected by then may still ask once, also where the kernel had
//! not handed the connection to us yet. A client cannot know that it came too late, and a reset
//! instead of an answer is a failed request behind every load balancer that retries connects only.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long a connection without a request may take to begin one; longer than a round trip, and
/// short beside any drain.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// When a connection that has not asked anything yet is to end.
pub(super) async fn wait(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(FIRST_REQUEST).await;
}

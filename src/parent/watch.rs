//! `server.watch`: a reload when the files of the configuration change. They are polled each second, without
//! inotify: a ConfigMap is a chain of symbolic links that is exchanged as a whole, also on file systems without
//! notifications.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::files::watched::{FileStates, WatchedFiles};

/// Polling interval, and the time that files must be unchanged before they are read.
const PERIOD: Duration = Duration::from_secs(1);

/// The watched files of the configuration in force.
#[derive(Debug, Default)]
pub(super) struct Watch {
    files: Option<WatchedFiles>,
    before: Option<FileStates>,
    /// A refused configuration is not read again before it changes.
    tried: Option<FileStates>,
    next: Option<Instant>,
}

impl Watch {
    /// Watches other files.
    pub(super) fn set(&mut self, files: Option<WatchedFiles>) {
        self.files = files;
    }

    /// Waits until the files have changed and stay as they are for a second. Can be cancelled without loss.
    pub(super) async fn changed(&mut self) {
        loop {
            let Some(files) = &self.files else {
                return std::future::pending().await;
            };
            let next = *self.next.get_or_insert_with(|| Instant::now() + PERIOD);
            sleep_until(next).await;
            self.next = None;
            let states = files.scan();
            let now = (states != *files.seen()).then_some(states);
            // A file that is still being written changes again.
            let is_settled = now.is_some() && now == self.before && now != self.tried;
            self.before.clone_from(&now);
            if is_settled {
                self.tried = now;
                return;
            }
        }
    }
}

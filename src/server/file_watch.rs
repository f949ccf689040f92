//! `server.watch`: a reload when the files of the configuration change. They are polled each second, without
//! inotify: a ConfigMap is a chain of symbolic links that is exchanged as a whole, also on file systems without
//! notifications.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::admin::Command;
use crate::site::Live;
use crate::site::watched::FileStates;

/// Polling interval, and the time that files must be unchanged before they are read.
const PERIOD: Duration = Duration::from_secs(1);

/// Polls the files until the process ends.
pub(super) async fn watch(live: Live, commands: mpsc::Sender<Command>) {
    let mut before = None;
    // A refused configuration is not read again before it changes.
    let mut tried = None;
    loop {
        sleep(PERIOD).await;
        let is_watched = live.load().server.watch;
        let now = if is_watched {
            find_change(&live).await
        } else {
            None
        };
        // A file that is still being written changes again.
        if now.is_some() && now == before && now != tried {
            tried.clone_from(&now);
            let (answer, result) = oneshot::channel();
            let command = Command::Reload {
                dry_run: false,
                answer,
            };
            if commands.send(command).await.is_err() {
                return;
            }
            // The reload logs its result.
            let _ = result.await;
        }
        before = now;
    }
}

/// Returns the state of the files; `None` if it is the one that the configuration was read from.
async fn find_change(live: &Live) -> Option<FileStates> {
    let snapshot = live.current();
    let look = move || {
        let watched = &snapshot.watched;
        let states = watched.scan();
        (states != *watched.seen()).then_some(states)
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

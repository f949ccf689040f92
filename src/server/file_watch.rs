//! `server.watch`: a reload when the configuration would be read differently. Looked at each second and
//! not listened for: a ConfigMap is a chain of symbolic links that is exchanged as a whole, on file
//! systems that tell nobody.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::admin::Command;
use crate::site::Live;
use crate::site::watched::FileStates;

/// How often it is looked; and how long files must have rested before they are read.
const PERIOD: Duration = Duration::from_secs(1);

/// Looks until the process ends.
pub(super) async fn watch(live: Live, commands: mpsc::Sender<Command>) {
    let mut before = None;
    // What was refused is not read again before it changes.
    let mut tried = None;
    loop {
        sleep(PERIOD).await;
        let now = match live.load().server.watch {
            true => changed(&live).await,
            false => None,
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
            // What came of it stands in the log.
            let _ = result.await;
        }
        before = now;
    }
}

/// How the files look; `None` where they are as they were when the configuration was read.
async fn changed(live: &Live) -> Option<FileStates> {
    let snapshot = live.current();
    let look = move || {
        let watched = &snapshot.watched;
        let states = watched.scan();
        (states != *watched.seen()).then_some(states)
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

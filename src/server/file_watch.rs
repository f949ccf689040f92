//! `server.watch`: a reload when a file of the configuration has changed. Looked at each second and not
//! listened for: a ConfigMap is a chain of symbolic links that is exchanged as a whole, on file systems
//! that tell nobody.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::admin::Command;
use crate::config::Live;

/// How often it is looked; and how long files must have rested before they are read.
const PERIOD: Duration = Duration::from_secs(1);

/// What tells one state of a file from another; `None`: it is not there.
type Mark = Option<(u64, u64, u64, i64, i64)>;

/// Looks until the process ends.
pub(super) async fn watch(live: Live, commands: mpsc::Sender<Command>) {
    let mut loaded = None;
    let mut before = Vec::new();
    loop {
        let (watch, files) = {
            let snapshot = live.load();
            (snapshot.server.watch, snapshot.files.clone())
        };
        if !watch {
            (loaded, before) = (None, Vec::new());
            sleep(PERIOD).await;
            continue;
        }
        let now = marks(files).await;
        let known = loaded.get_or_insert_with(|| now.clone());
        // A file that is still being written changes again.
        if *known != now && before == now {
            *known = now.clone();
            let (answer, result) = oneshot::channel();
            let command = Command::Reload {
                dry_run: false,
                answer,
            };
            if commands.send(command).await.is_err() {
                return;
            }
            let _ = result.await;
            // Other files may be included now.
            loaded = Some(marks(live.load().files.clone()).await);
        }
        before = now;
        sleep(PERIOD).await;
    }
}

async fn marks(files: Vec<PathBuf>) -> Vec<Mark> {
    let read = move || files.iter().map(mark).collect();
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

fn mark(file: &PathBuf) -> Mark {
    let found = std::fs::metadata(file).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
    ))
}

//! What a program writes, line by line, as it comes.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::LOG_PATIENCE;

/// The lines of one stream of a program. A thread reads them, so that the program never waits for the test.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    name: &'static str,
    lines: watch::Receiver<Vec<String>>,
    /// Held while a line is taken.
    reading: Arc<Mutex<()>>,
}

impl Lines {
    /// Collects from now on; `name` is for messages.
    pub(crate) fn of(name: &'static str, stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = watch::channel(Vec::new());
        let reading = Arc::new(Mutex::new(()));
        let allowed = Arc::clone(&reading);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&line).into_owned();
                let _allowed = allowed.blocking_lock();
                sender.send_modify(|lines| lines.push(text));
            }
        });
        Self {
            name,
            lines,
            reading,
        }
    }

    /// Reads nothing more until what this gives back is dropped: the pipe fills.
    pub(crate) async fn unread(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.reading).lock_owned().await
    }

    /// All lines so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// How many lines there are.
    pub(crate) fn count(&self) -> usize {
        self.lines.borrow().len()
    }

    /// The first line that `wanted` holds for, which may have been there before.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_after(0, wanted).await
    }

    /// The same, without the first `seen` lines.
    pub(crate) async fn wait_after(&self, seen: usize, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_many(seen, 1, wanted).await.remove(0)
    }

    /// The first `count` lines behind `seen` others that `wanted` holds for.
    pub(crate) async fn wait_many(
        &self,
        seen: usize,
        count: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let matching = |lines: &Vec<String>| -> Vec<String> {
            let later = lines.iter().skip(seen);
            later
                .filter(|line| wanted(line))
                .take(count)
                .cloned()
                .collect()
        };
        let mut receiver = self.lines.clone();
        let waiting = receiver.wait_for(|lines| matching(lines).len() == count);
        let found = tokio::time::timeout(LOG_PATIENCE, waiting).await;
        let why = match found {
            Ok(Ok(lines)) => return matching(&lines),
            Ok(Err(_)) => "it ended".to_owned(),
            Err(_) => format!("waited {LOG_PATIENCE:?}"),
        };
        panic!(
            "{}: no such line, {why}; all of it:\n{}\n",
            self.name,
            self.all().join("\n")
        );
    }

    /// Waits for the end of the stream, which is the end of the program.
    pub(crate) async fn ended(&self) {
        let mut receiver = self.lines.clone();
        let ended = receiver.wait_for(|_| false);
        if tokio::time::timeout(super::PATIENCE, ended).await.is_ok() {
            return;
        }
        panic!(
            "{}: does not end; all of it:\n{}\n",
            self.name,
            self.all().join("\n")
        );
    }
}

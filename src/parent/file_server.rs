//! Answers a server's requests for files of its grant: with the parent's rights, by index alone.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use crate::control::Channel;
use crate::control::file_access::{FileAnswer, FileIndex, FileRequest, Names};
use crate::files::Files;

/// Limit of the grants of a server: the one in force, and the next one during a reload.
const GRANTS: usize = 2;

/// The files that a server may open.
#[derive(Clone, Debug, Default)]
pub(super) struct Permitted(Arc<Mutex<VecDeque<Names>>>);

impl Permitted {
    /// Permits the files of another grant. The oldest of more than two ends.
    pub(super) fn add(&self, names: Names) {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        grants.push_back(names);
        while grants.len() > GRANTS {
            grants.pop_front();
        }
    }

    /// Returns the files, by grant.
    pub(super) fn names(&self) -> Vec<Names> {
        let grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        grants.iter().cloned().collect()
    }

    /// Opens a permitted file.
    fn open(&self, request: &FileRequest) -> io::Result<File> {
        let path = {
            let grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let names = grants.iter().find(|names| names.grant == request.grant);
            let (paths, index) = match request.file {
                FileIndex::File(index) => (names.map(|names| &names.files), index),
                FileIndex::Log(index) => (names.map(|names| &names.logs), index),
            };
            let index = usize::try_from(index).ok();
            let path = paths.and_then(|paths| paths.get(index?));
            path.cloned().ok_or(io::ErrorKind::PermissionDenied)?
        };
        match request.file {
            FileIndex::File(_) => Files::own().open(&path),
            FileIndex::Log(_) => Files::own().open_log(&path),
        }
    }
}

/// Answers requests from `channel` until its other end is closed or sends what is no request.
pub(super) async fn serve(channel: Arc<Channel>, permitted: Permitted) {
    while let Ok(Some((request, _))) = channel.receive::<FileRequest>().await {
        let opened = permitted.open(&request);
        let answer = FileAnswer {
            number: request.number,
            error: opened.as_ref().err().map(error_number),
        };
        let descriptors: Vec<_> = opened.iter().map(AsFd::as_fd).collect();
        // The server waits for this one answer, so there is room.
        if channel.try_send(&answer, &descriptors).is_err() {
            return;
        }
    }
}

fn error_number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(nix::libc::EACCES)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::PathBuf;

    use super::*;
    use crate::control::file_access::ParentFiles;
    use crate::control::packet;
    use crate::files::Opener as _;

    /// Returns an opener, and the files that the other end permits it.
    async fn opener(names: Names) -> (Arc<ParentFiles>, Permitted) {
        let (one, other) = packet::pair().unwrap();
        let permitted = Permitted::default();
        permitted.add(names.clone());
        let other = Arc::new(Channel::new(other).unwrap());
        tokio::spawn(serve(other, permitted.clone()));
        (ParentFiles::new(one, names), permitted)
    }

    async fn open(files: &Arc<ParentFiles>, path: PathBuf) -> io::Result<File> {
        let files = Arc::clone(files);
        let opened = tokio::task::spawn_blocking(move || files.open(&path));
        opened.await.unwrap()
    }

    #[tokio::test]
    async fn files_of_the_grant_are_opened_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let [key, missing, other] =
            ["key", "missing", "other"].map(|name| folder.path().join(name));
        for path in [&key, &other] {
            std::fs::write(path, "text").unwrap();
        }
        let names = |grant| Names {
            grant,
            files: vec![key.clone(), missing.clone()],
            logs: vec![folder.path().join("log")],
        };
        let (files, permitted) = opener(names(1)).await;
        let text = std::io::read_to_string(open(&files, key.clone()).await.unwrap());
        assert_eq!(text.unwrap(), "text");
        let error = open(&files, missing.clone()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let error = open(&files, other.clone()).await.unwrap_err();
        assert!(error.to_string().contains("does not name it"), "{error}");
        let logs = Arc::clone(&files);
        let path = folder.path().join("log");
        let log = tokio::task::spawn_blocking(move || logs.open_log(&path));
        log.await.unwrap().unwrap().write_all(b"line\n").unwrap();
        // The server has the next grant, which the parent does not know yet.
        files.set_names(names(2));
        let error = open(&files, key.clone()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        permitted.add(names(2));
        assert!(open(&files, key.clone()).await.is_ok());
    }

    #[tokio::test]
    async fn an_index_beyond_the_grant_is_refused() {
        let (one, other) = packet::pair().unwrap();
        let other = Arc::new(Channel::new(other).unwrap());
        tokio::spawn(serve(other, Permitted::default()));
        let channel = Channel::new(one).unwrap();
        for file in [FileIndex::File(0), FileIndex::Log(u32::MAX)] {
            let request = FileRequest {
                number: 7,
                grant: 0,
                file,
            };
            channel.send(&request).await.unwrap();
            let (answer, descriptors) = channel.receive::<FileAnswer>().await.unwrap().unwrap();
            assert_eq!(answer.number, 7);
            assert!(answer.error.is_some() && descriptors.is_empty());
        }
    }
}

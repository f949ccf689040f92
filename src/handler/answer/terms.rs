//! Settings of a site for the answers of an upstream, and the terms of one answer.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;

use super::send_file::SendFile;
use super::store::Store;
use crate::limits::budget::{Budget, Owner, Part};
use crate::limits::per_client::{Counted, PerClient};

/// Settings common to all answers of a handler.
#[derive(Debug)]
pub struct Settings {
    /// Files that the upstream may name.
    pub send_file: SendFile,
    /// Limit on the bytes buffered for a slow client; 0 for none.
    pub response_buffer: u64,
    /// Budget of memory for answers.
    pub memory: Arc<Budget>,
    /// Budget of buffer files.
    pub spool: Arc<Budget>,
    /// The folder of the unlinked files.
    pub spool_directory: PathBuf,
    /// Counter of each client's event streams and long polls.
    pub live_streams: Arc<PerClient>,
}

/// Owner of an answer, and the limit on its stored bytes.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) settings: Arc<Settings>,
    /// The owner of the budgets' shares.
    pub(super) owner: Owner,
    /// Bytes read from the upstream ahead of the client; 0: the upstream waits for the client.
    pub(super) limit: u64,
    /// The end of the request's total time limit.
    pub(super) deadline: Option<Instant>,
    /// Its slot among its client's live streams, if it is one.
    pub(super) _live: Option<Counted>,
}

impl Terms {
    /// Creates a store for the bytes that the client does not take yet.
    pub(super) fn store(&self) -> Store {
        let settings = &self.settings;
        Store::new(
            self.limit,
            settings.spool_directory.clone(),
            Part::new(&settings.memory, self.owner),
            Part::new(&settings.spool, self.owner),
        )
    }

    /// Charges `length` bytes of memory to the client, if its share allows it.
    pub(super) fn charged(&self, length: usize) -> Option<Part> {
        let mut part = Part::new(&self.settings.memory, self.owner);
        part.grow(length as u64).ok().map(|()| part)
    }
}

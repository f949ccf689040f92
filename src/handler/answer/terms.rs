//! What a site lets the answers of an upstream have, and what one of them has.

use std::path::PathBuf;
use std::sync::Arc;

use super::send_file::SendFile;
use super::store::Store;
use crate::limits::budget::{Budget, Owner, Part};
use crate::limits::per_client::{Counted, PerClient};

/// What all answers of a handler have in common.
#[derive(Debug)]
pub struct Settings {
    /// Which files the upstream may have sent.
    pub send_file: SendFile,
    /// How much of an answer is kept for a slow client, in bytes; 0 for none.
    pub response_buffer: u64,
    /// What answers may hold in memory.
    pub memory: Arc<Budget>,
    /// What files may hold.
    pub spool: Arc<Budget>,
    /// The folder of the unlinked files.
    pub spool_directory: PathBuf,
    /// How many event streams and long polls each client has.
    pub live_streams: Arc<PerClient>,
}

/// Whose an answer is, and how much of it may be stored.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) settings: Arc<Settings>,
    /// Whose share it is taken from.
    pub(super) owner: Owner,
    /// Bytes that are taken from the upstream ahead of the client; 0: the upstream waits for the client.
    pub(super) limit: u64,
    /// Its place among its client's live streams, where it is one.
    pub(super) _live: Option<Counted>,
}

impl Terms {
    /// Returns a place for what the client does not take.
    pub(super) fn store(&self) -> Store {
        let settings = &self.settings;
        Store::new(
            self.limit,
            settings.spool_directory.clone(),
            Part::new(&settings.memory, self.owner),
            Part::new(&settings.spool, self.owner),
        )
    }

    /// Takes `length` bytes of memory for an answer, unless that is too much for its client.
    pub(super) fn charged(&self, length: usize) -> Option<Part> {
        let mut part = Part::new(&self.settings.memory, self.owner);
        part.grow(length as u64).ok().map(|()| part)
    }
}

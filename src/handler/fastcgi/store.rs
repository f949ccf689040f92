//! What was taken from PHP and not yet by the client, in order: memory first, then a ring in an
//! unlinked file that never grows beyond its share. A file that cannot be written is as good as a
//! full one: what is stored already can still be read.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use bytes::{Buf, Bytes, BytesMut};
use nix::sys::uio::{pread, pwrite};

use crate::limits::budget::Part;

/// Bytes kept in memory before the file is used.
const MEMORY: u64 = 64 * 1024;

/// Bytes read back at once.
const PIECE: u64 = 64 * 1024;

/// Bytes between a writer and a reader.
#[derive(Debug)]
pub(super) struct Store {
    /// Copied into one buffer: a small piece would hold the whole read that it came with.
    memory: BytesMut,
    memory_limit: usize,
    ring: Ring,
}

/// A file of `capacity` bytes, written and read in circles.
#[derive(Debug)]
struct Ring {
    directory: PathBuf,
    file: Option<File>,
    /// How far into the file has been written: so much of the disk it takes.
    reserved: Part,
    capacity: u64,
    written: u64,
    read: u64,
    failed: bool,
}

impl Store {
    /// For at most `limit` bytes, of which some may go to a file in `directory`, as far as `part`
    /// can grow.
    pub(super) fn new(limit: u64, directory: PathBuf, part: Part) -> Self {
        let in_memory = limit.min(MEMORY);
        Self {
            memory: BytesMut::new(),
            memory_limit: usize::try_from(in_memory).unwrap_or(0),
            ring: Ring {
                directory,
                file: None,
                reserved: part,
                capacity: limit - in_memory,
                written: 0,
                read: 0,
                failed: false,
            },
        }
    }

    /// Takes as much of the front of `piece` as there is room for.
    pub(super) fn put(&mut self, piece: &mut Bytes) {
        // What is in the file is older than what would now go to memory.
        if self.ring.length() == 0 {
            let room = self.memory_limit.saturating_sub(self.memory.len());
            let fits = piece.split_to(piece.len().min(room));
            self.memory.extend_from_slice(&fits);
        }
        self.ring.put(piece);
    }

    /// The next bytes; `None` while there are none. Fails when the file cannot be read back.
    pub(super) fn take(&mut self) -> io::Result<Option<Bytes>> {
        if self.memory.is_empty() {
            return self.ring.take();
        }
        Ok(Some(self.memory.split().freeze()))
    }
}

impl Ring {
    fn length(&self) -> u64 {
        self.written - self.read
    }

    fn put(&mut self, piece: &mut Bytes) {
        while !piece.is_empty() && !self.failed && self.length() < self.capacity {
            match self.write(piece) {
                Ok(count) => {
                    piece.advance(count);
                    self.written += count as u64;
                }
                Err(error) => {
                    self.failed = true;
                    tracing::warn!(%error, directory = %self.directory.display(), "an answer cannot be buffered in a file: PHP waits for the client");
                }
            }
        }
    }

    /// Writes up to the end of the room or of the file, where it turns.
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let position = self.written % self.capacity;
        let room = (self.capacity - self.length()).min(self.capacity - position);
        let length = usize::try_from(room).map_or(piece.len(), |room| piece.len().min(room));
        let part = piece.get(..length).unwrap_or(piece);
        self.reserve(position + part.len() as u64)?;
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(&self.directory)?,
        };
        let written = pwrite(self.file.insert(file), part, offset(position)?)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(written)
    }

    fn reserve(&mut self, end: u64) -> io::Result<()> {
        let more = end.saturating_sub(self.reserved.used());
        if more == 0 {
            return Ok(());
        }
        self.reserved.grow(more).map_err(io::Error::other)
    }

    fn take(&mut self) -> io::Result<Option<Bytes>> {
        let Some(file) = self.file.as_ref().filter(|_| self.written > self.read) else {
            return Ok(None);
        };
        let position = self.read % self.capacity;
        let length = self.length().min(self.capacity - position).min(PIECE);
        let mut piece = BytesMut::zeroed(usize::try_from(length).map_err(io::Error::other)?);
        let count = pread(file, &mut piece, offset(position)?)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(count);
        self.read += count as u64;
        if self.read == self.written {
            // From the start again: pages that were used are used again.
            (self.read, self.written) = (0, 0);
        }
        Ok(Some(piece.freeze()))
    }
}

fn offset(position: u64) -> io::Result<i64> {
    i64::try_from(position).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::limits::budget::{Budget, Owner, Party, SiteKey};
    use proptest::prelude::*;

    fn store(limit: u64) -> Store {
        Store::new(limit, std::env::temp_dir(), part(1 << 40, 1))
    }

    fn part(total: u64, number: u64) -> Part {
        part_of(&Arc::new(Budget::new(total)), number)
    }

    fn part_of(budget: &Arc<Budget>, number: u64) -> Part {
        let party = Party::Connection(number);
        let site = SiteKey::default();
        Part::new(budget, Owner { party, site })
    }

    /// How much of `length` bytes it takes.
    fn put(store: &mut Store, length: usize) -> usize {
        let mut piece = Bytes::from(vec![b'x'; length]);
        store.put(&mut piece);
        length - piece.len()
    }

    #[test]
    fn it_never_holds_more_than_its_limit() {
        for (limit, file) in [(0, false), (10, false), (65_536, false), (65_546, true)] {
            let mut store = store(limit);
            let limit = usize::try_from(limit).unwrap();
            assert_eq!(put(&mut store, 200_000), limit);
            assert_eq!(put(&mut store, 1), 0);
            assert_eq!(store.ring.file.is_some(), file, "{limit}");
            let mut taken = 0;
            while let Some(piece) = store.take().unwrap() {
                taken += piece.len();
            }
            assert_eq!(taken, limit);
        }
    }

    #[test]
    fn without_a_file_memory_is_all_there_is() {
        let mut store = Store::new(1 << 20, PathBuf::from("/nonexistent"), part(1 << 40, 1));
        assert_eq!(put(&mut store, 100_000), 65_536);
        assert_eq!(store.take().unwrap().unwrap().len(), 65_536);
        assert_eq!(put(&mut store, 10), 10);
        assert_eq!(store.take().unwrap().unwrap().len(), 10);
        assert!(store.take().unwrap().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_goes_in_comes_out_in_order(
            limit in 1_u64..200_000,
            steps in proptest::collection::vec((1_usize..90_000, 0_usize..4), 1..40),
        ) {
            let mut store = store(limit);
            let (mut next, mut wanted) = (0_u32, 0_u32);
            let mut check = |piece: Bytes| {
                for byte in piece {
                    assert_eq!(u32::from(byte), wanted % 251);
                    wanted += 1;
                }
            };
            for (length, reads) in steps {
                let bytes: Vec<u8> = (next..).take(length).map(|number| (number % 251) as u8).collect();
                let mut piece = Bytes::from(bytes);
                store.put(&mut piece);
                next += u32::try_from(length - piece.len()).unwrap();
                for _ in 0..reads {
                    store.take().unwrap().into_iter().for_each(&mut check);
                }
            }
            while let Some(piece) = store.take().unwrap() {
                check(piece);
            }
            prop_assert_eq!(next, wanted);
        }
    }

    #[test]
    fn all_files_together_have_no_more_than_the_quota() {
        let budget = Arc::new(Budget::new(120_000));
        let store = |number| Store::new(1 << 20, std::env::temp_dir(), part_of(&budget, number));
        let (mut first, mut second) = (store(1), store(2));
        let piece = || Bytes::from(vec![7; 64 * 1024 + 60_000]);
        let mut left = piece();
        first.put(&mut left);
        assert!(left.is_empty());
        let mut left = piece();
        second.put(&mut left);
        assert_eq!(left.len(), 60_000, "no room in a file");
        assert_eq!(budget.used(), 60_000);
        drop(first);
        assert_eq!(budget.used(), 0);
    }
}

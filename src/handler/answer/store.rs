//! A buffer between PHP and a slow client, first in, first out: memory first, then a ring in an unlinked file
//! within its share. A file that cannot be written counts as a full one: stored bytes can still be read.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use bytes::{Buf, Bytes, BytesMut};
use nix::sys::uio::{pread, pwrite};

use crate::limits::budget::{Over, Part};

/// Limit on memory before the file is used.
const MEMORY: u64 = 64 * 1024;

/// Size of a piece handed out: so much of it stays in a connection whose client takes nothing.
const PIECE: usize = 16 * 1024;

/// Bytes between a writer and a reader.
#[derive(Debug)]
pub(super) struct Store {
    /// One buffer for copies: a small piece would hold the whole read that it came with.
    memory: BytesMut,
    memory_limit: usize,
    /// The budget of the buffer, until it is empty.
    charged: Part,
    ring: Ring,
}

/// A ring buffer of `capacity` bytes in a file.
#[derive(Debug)]
struct Ring {
    directory: PathBuf,
    file: Option<File>,
    /// Bytes of disk charged: the highest position written.
    reserved: Part,
    /// The largest size, and the current one: where a share ends earlier, the ring closes there.
    limit: u64,
    capacity: u64,
    written: u64,
    read: u64,
    state: Room,
}

/// State of the room in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// Room, as far as known.
    Some,
    /// No share left at the last attempt.
    OverShare,
    /// A write failed.
    Failed,
}

impl Store {
    /// Creates a store for at most `limit` bytes: in memory as far as `memory` can grow, then in a file in
    /// `directory`, as far as `file` can.
    pub(super) fn new(limit: u64, directory: PathBuf, memory: Part, file: Part) -> Self {
        let in_memory = limit.min(MEMORY);
        let in_file = limit - in_memory;
        Self {
            memory: BytesMut::new(),
            memory_limit: usize::try_from(in_memory).unwrap_or(0),
            charged: memory,
            ring: Ring {
                directory,
                file: None,
                reserved: file,
                limit: in_file,
                capacity: in_file,
                written: 0,
                read: 0,
                state: Room::Some,
            },
        }
    }

    /// Moves as much of the front of `piece` into the store as there is room for.
    pub(super) fn put(&mut self, piece: &mut Bytes) {
        // Bytes in the file are older than those that would now go to memory.
        if self.ring.length() == 0 {
            let room = self.memory_limit.saturating_sub(self.memory.len());
            let fits = piece.len().min(room);
            if fits > 0 && self.charged.grow(fits as u64).is_ok() {
                self.memory.extend_from_slice(&piece.split_to(fits));
            }
        }
        self.ring.put(piece);
    }

    /// Takes the next bytes; `None` while there are none. Fails when the file cannot be read back.
    pub(super) fn take(&mut self) -> io::Result<Option<Bytes>> {
        if self.memory.is_empty() {
            return self.ring.take();
        }
        // Copied, so that an unsent piece does not hold the whole buffer.
        let length = self.memory.len().min(PIECE);
        let piece = Bytes::copy_from_slice(&self.memory.split_to(length));
        if self.memory.is_empty() {
            self.memory = BytesMut::new();
            self.charged.shrink(u64::MAX);
        }
        Ok(Some(piece))
    }

    /// Reports whether the last piece found no room because of its owner's share, or because the file cannot be
    /// written, which is outside any share.
    pub(super) fn is_over_share(&self) -> bool {
        let ring = &self.ring;
        let is_closed = ring.capacity < ring.limit && ring.length() == ring.capacity;
        ring.state != Room::Some || is_closed
    }
}

impl Ring {
    fn length(&self) -> u64 {
        self.written - self.read
    }

    fn put(&mut self, piece: &mut Bytes) {
        if self.state == Room::OverShare {
            self.state = Room::Some;
        }
        while !piece.is_empty() && self.state == Room::Some && self.length() < self.capacity {
            match self.write(piece) {
                Ok(Ok(count)) => {
                    piece.advance(count);
                    self.written += count as u64;
                }
                Ok(Err(_)) if self.closes_here() => self.capacity = self.written,
                Ok(Err(_)) => self.state = Room::OverShare,
                Err(error) => {
                    self.state = Room::Failed;
                    tracing::warn!(%error, directory = %self.directory.display(), "writing the buffer file of an answer failed: PHP waits for the client");
                }
            }
        }
    }

    /// Reports whether the ring can close at the current end of the file: the part already read makes room.
    fn closes_here(&self) -> bool {
        self.read > 0 && self.written < self.capacity
    }

    /// Writes up to the end of the room or of the file, where the ring wraps.
    fn write(&mut self, piece: &[u8]) -> io::Result<Result<usize, Over>> {
        let position = self.written % self.capacity;
        let room = (self.capacity - self.length()).min(self.capacity - position);
        let length = usize::try_from(room).map_or(piece.len(), |room| piece.len().min(room));
        let part = piece.get(..length).unwrap_or(piece);
        if let Err(over) = self.reserve(position + part.len() as u64) {
            return Ok(Err(over));
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(&self.directory)?,
        };
        let written = pwrite(self.file.insert(file), part, offset(position)?)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(Ok(written))
    }

    fn reserve(&mut self, end: u64) -> Result<(), Over> {
        self.reserved.grow(end.saturating_sub(self.reserved.used()))
    }

    fn take(&mut self) -> io::Result<Option<Bytes>> {
        let Some(file) = self.file.as_ref().filter(|_| self.written > self.read) else {
            return Ok(None);
        };
        let position = self.read % self.capacity;
        let available = self.length().min(self.capacity - position);
        let length = usize::try_from(available).map_or(PIECE, |length| length.min(PIECE));
        let mut piece = BytesMut::zeroed(length);
        let count = pread(file, &mut piece, offset(position)?)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(count);
        self.read += count as u64;
        if self.read == self.written {
            // Restarts at 0: used pages are used again.
            (self.read, self.written, self.capacity) = (0, 0, self.limit);
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
        Store::new(
            limit,
            std::env::temp_dir(),
            part(1 << 40, 1),
            part(1 << 40, 1),
        )
    }

    fn part(total: u64, number: u64) -> Part {
        part_of(&Arc::new(Budget::new(total)), number)
    }

    fn part_of(budget: &Arc<Budget>, number: u64) -> Part {
        let party = Party::Connection(number);
        let site = SiteKey::default();
        Part::new(budget, Owner { party, site })
    }

    /// Returns the number of accepted bytes, of `length`.
    fn put(store: &mut Store, length: usize) -> usize {
        let mut piece = Bytes::from(vec![b'x'; length]);
        store.put(&mut piece);
        length - piece.len()
    }

    /// Puts pieces of the given lengths, each followed by as many reads; `check` sees the part that found no room. All that
    /// was stored must come out, in its order.
    fn pass_through(store: &mut Store, steps: Vec<(usize, usize)>, check: impl Fn(&Store, &Bytes)) {
        let byte_at = |position: u32| (position % 251) as u8;
        let (mut stored, mut read) = (0, 0);
        let mut compare = |piece: Bytes| {
            for byte in piece {
                assert_eq!(byte, byte_at(read));
                read += 1;
            }
        };
        for (length, reads) in steps {
            let mut piece: Bytes = (stored..).take(length).map(byte_at).collect();
            store.put(&mut piece);
            check(store, &piece);
            stored += u32::try_from(length - piece.len()).unwrap();
            for _ in 0..reads {
                store.take().unwrap().into_iter().for_each(&mut compare);
            }
        }
        while let Some(piece) = store.take().unwrap() {
            compare(piece);
        }
        assert_eq!(stored, read);
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
        let mut store = Store::new(
            1 << 20,
            PathBuf::from("/nonexistent"),
            part(1 << 40, 1),
            part(1 << 40, 1),
        );
        assert_eq!(put(&mut store, 100_000), 65_536);
        assert!(store.is_over_share(), "its worker can be taken");
        for _ in 0..4 {
            assert_eq!(store.take().unwrap().unwrap().len(), PIECE);
        }
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
            pass_through(&mut store, steps, |_, _| ());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// The ring closes where the share ends, and opens again once all was read.
        #[test]
        fn a_share_is_used_again_and_again(
            shares in (1_u64..100_000, 1_u64..200_000),
            steps in proptest::collection::vec((1_usize..90_000, 0_usize..8), 1..60),
        ) {
            let budgets = [shares.0, shares.1].map(|total| Arc::new(Budget::new(total)));
            let [memory, file] = budgets.each_ref().map(|budget| part_of(budget, 1));
            let mut store = Store::new(u64::MAX, std::env::temp_dir(), memory, file);
            pass_through(&mut store, steps, |store, left| {
                assert!(left.is_empty() || store.is_over_share());
                assert!(budgets.iter().all(|budget| budget.used() <= budget.total()));
            });
            drop(store);
            prop_assert!(budgets.iter().all(|budget| budget.used() == 0));
        }
    }

    #[test]
    fn all_files_together_have_no_more_than_the_quota() {
        let budget = Arc::new(Budget::new(120_000));
        let store = |number| {
            let file = part_of(&budget, number);
            Store::new(1 << 20, std::env::temp_dir(), part(1 << 40, 1), file)
        };
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

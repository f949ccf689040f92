//! Budgets of shared resources: bytes of memory, bytes of disk. Each budget has a total, of which no owner gets all.
//!
//! The share of an owner follows from what is free (Choudhury and Hahne, "Dynamic Queue Length Thresholds", 1998): a
//! client may hold as much as is free, a site three times as much. One client alone gets half of the total, two get a
//! third each, and with `n` that want more than there is, one part in `n + 1` stays free: a newcomer finds room, and
//! nothing has to be taken back. Parts are granted in pieces, so that a long transfer seldom asks; the holding of a
//! client is behind a lock with little contention.

mod all;
mod owner;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use all::{Budgets, Totals};
pub use owner::{Owner, Party, SiteKey};

/// The number of pieces of a total: as many grants exhaust it.
const PIECES: u64 = 4096;

/// The largest piece, in bytes.
const PIECE: u64 = 64 * 1024;

/// The number of locks over which holders are spread.
const SHARDS: usize = 16;

/// A client's share as a multiple of what is free.
const CLIENT: u64 = 1;

/// A site's share as a multiple of what is free.
const SITE: u64 = 3;

/// A shared resource.
#[derive(Debug)]
pub struct Budget {
    total: AtomicU64,
    used: AtomicU64,
    refused: AtomicU64,
    holders: Holders,
}

/// The holding of each owner; there are no more entries than parts.
#[derive(Debug, Default)]
struct Holders {
    shards: [Mutex<HashMap<Holder, u64>>; SHARDS],
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Party(Party),
    Site(SiteKey),
}

/// One owner's part of a budget; released when dropped.
#[derive(Debug)]
pub struct Part {
    budget: Arc<Budget>,
    owner: Owner,
    /// Amount granted; `used` is the part of it in use.
    granted: u64,
    used: u64,
}

/// The limit that refuses an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    /// The total is in use.
    #[error("nothing is left")]
    Total,
    /// The client has its share.
    #[error("this client has used its share")]
    Client,
    /// The site has its share.
    #[error("this site has used its share")]
    Site,
}

impl Budget {
    /// Builds a budget of `total`, all of it free.
    pub fn new(total: u64) -> Self {
        Self {
            total: AtomicU64::new(total),
            used: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            holders: Holders::default(),
        }
    }

    /// Sets the total, for later grants.
    pub fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// Returns the total.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Returns the amount granted.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Returns the number of refusals.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Grants `amount` to `owner`, all of it or nothing.
    fn take(&self, owner: Owner, amount: u64) -> Result<(), Over> {
        let before = self.used.fetch_add(amount, Ordering::Relaxed);
        let taken = match self.total().checked_sub(before.saturating_add(amount)) {
            None => Err(Over::Total),
            Some(free) => self.take_shares(owner, amount, free),
        };
        if taken.is_err() {
            self.used.fetch_sub(amount, Ordering::Relaxed);
        }
        taken
    }

    fn take_shares(&self, owner: Owner, amount: u64, free: u64) -> Result<(), Over> {
        let party = Holder::Party(owner.party);
        if !self.holders.add(party, amount, free.saturating_mul(CLIENT)) {
            return Err(Over::Client);
        }
        let most = free.saturating_mul(SITE);
        if !self.holders.add(Holder::Site(owner.site), amount, most) {
            self.holders.remove(party, amount);
            return Err(Over::Site);
        }
        Ok(())
    }

    fn give_back(&self, owner: Owner, amount: u64) {
        self.holders.remove(Holder::Party(owner.party), amount);
        self.holders.remove(Holder::Site(owner.site), amount);
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Returns the size of a piece.
    fn piece(&self) -> u64 {
        (self.total() / PIECES).clamp(1, PIECE)
    }
}

impl Holders {
    /// Adds `amount` to the holding of `holder`, unless that would be more than `most`.
    fn add(&self, holder: Holder, amount: u64, most: u64) -> bool {
        let mut held = self.shard(holder);
        let before = held.get(&holder).copied().unwrap_or(0);
        let after = before.saturating_add(amount);
        let fits = after <= most;
        if fits {
            held.insert(holder, after);
        }
        fits
    }

    fn remove(&self, holder: Holder, amount: u64) {
        let mut held = self.shard(holder);
        if let Some(count) = held.get_mut(&holder) {
            *count = count.saturating_sub(amount);
            if *count == 0 {
                held.remove(&holder);
            }
        }
    }

    fn shard(&self, holder: Holder) -> MutexGuard<'_, HashMap<Holder, u64>> {
        let hash = self.hasher.hash_one(holder);
        let [first, others @ ..] = &self.shards;
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        let shard = index.checked_sub(1).and_then(|index| others.get(index));
        // A poisoned lock guards numbers that are valid at every moment.
        shard
            .unwrap_or(first)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Builds an empty part.
    pub fn new(budget: &Arc<Budget>, owner: Owner) -> Self {
        Self {
            budget: Arc::clone(budget),
            owner,
            granted: 0,
            used: 0,
        }
    }

    /// Returns the amount in use.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Returns its budget.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Takes `amount` more, all of it or nothing.
    pub fn grow(&mut self, amount: u64) -> Result<(), Over> {
        let after = self.used.saturating_add(amount);
        let missing = after.saturating_sub(self.granted);
        if missing > 0 {
            let more = missing.next_multiple_of(self.budget.piece());
            let taken = match self.budget.take(self.owner, more) {
                Ok(()) => Ok(more),
                // The rest of a share is smaller than a piece.
                Err(_) => self.budget.take(self.owner, missing).map(|()| missing),
            };
            self.granted += taken.inspect_err(|_| {
                self.budget.refused.fetch_add(1, Ordering::Relaxed);
            })?;
        }
        self.used = after;
        Ok(())
    }

    /// Releases `amount`, or all if that is less.
    pub fn shrink(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
        let kept = self.used.next_multiple_of(self.budget.piece());
        let over = self.granted.saturating_sub(kept);
        if over > 0 {
            self.budget.give_back(self.owner, over);
            self.granted -= over;
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.granted > 0 {
            self.budget.give_back(self.owner, self.granted);
        }
    }
}

#[cfg(test)]
mod tests;

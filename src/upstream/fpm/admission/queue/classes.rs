//! Classes of requests with a reserve: a part of the grants and of the places that others cannot take.
//!
//! Each grant credits each class with its per cent, and a class with a credit of a hundred is owed a grant. A class
//! without waiting requests saves up one grant and no more: its next request comes first. Grants of the common round
//! are charged to the class too, up to one grant in advance: a reserve is a minimum, and adds nothing to a larger
//! part.

use super::rounds::{NodeId, Rounds};
use crate::upstream::flow::{ClassKey, Reserve};

/// Price of one grant.
const GRANT: i32 = 100;

/// A class and its credit.
#[derive(Debug)]
pub(super) struct Class {
    key: ClassKey,
    percent: u8,
    credit: i32,
    /// Its own round of clients.
    pub(super) root: NodeId,
}

/// All classes of an upstream.
#[derive(Debug, Default)]
pub(super) struct Classes(Vec<Class>);

impl Classes {
    /// Applies the `reserves` of another configuration. Returns the roots of the removed classes.
    pub(super) fn adopt(&mut self, reserves: &[Reserve], rounds: &mut Rounds) -> Vec<NodeId> {
        let mut before = std::mem::take(&mut self.0);
        for reserve in reserves {
            let index = before.iter().position(|class| class.key == reserve.class);
            let known = index.map(|index| before.swap_remove(index));
            let (credit, root) = known.map_or_else(
                || (0, rounds.add_root()),
                |class| (class.credit, class.root),
            );
            self.0.push(Class {
                key: reserve.class,
                percent: reserve.percent,
                credit,
                root,
            });
        }
        before.into_iter().map(|class| class.root).collect()
    }

    /// Returns the class of a key; `None` if it does not exist, or no longer.
    pub(super) fn get(&self, key: Option<ClassKey>) -> Option<&Class> {
        let key = key?;
        self.0.iter().find(|class| class.key == key)
    }

    /// Counts a grant, and returns the root of the class that it is owed to.
    pub(super) fn count_grant(&mut self, rounds: &Rounds) -> Option<NodeId> {
        for class in &mut self.0 {
            class.credit += i32::from(class.percent);
            if rounds.count(class.root, &[]) == 0 {
                class.credit = class.credit.min(GRANT);
            }
        }
        let is_owed = |class: &&Class| class.credit >= GRANT && rounds.head(class.root).is_some();
        let owed = self.0.iter().filter(is_owed);
        owed.max_by_key(|class| class.credit)
            .map(|class| class.root)
    }

    /// Charges a grant to the class with this root, whatever the round of the grant.
    pub(super) fn charge(&mut self, root: NodeId) {
        if let Some(class) = self.0.iter_mut().find(|class| class.root == root) {
            class.credit = (class.credit - GRANT).max(-GRANT);
        }
    }

    /// Returns the number of `length` places that are reserved for other classes than that of `key`.
    pub(super) fn kept_from(&self, key: Option<ClassKey>, length: usize, rounds: &Rounds) -> usize {
        let others = self.0.iter().filter(|class| Some(class.key) != key);
        others.map(|class| class.kept(length, rounds)).sum()
    }
}

impl Class {
    /// Returns the number of `length` places that are reserved for it and free.
    pub(super) fn kept(&self, length: usize, rounds: &Rounds) -> usize {
        let reserved = length.saturating_mul(usize::from(self.percent)) / 100;
        reserved.saturating_sub(rounds.count(self.root, &[]))
    }
}

//! Contents of the manager's descriptor store (FileDescriptorStoreMax=, systemd.service(5)): the listeners that a restart of
//! the service does not close, so that clients in their backlogs are answered.

/// A stored listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// The name in the store.
    pub(super) name: String,
    /// Inode of the socket: another one may be bound to the same address.
    pub(super) inode: u64,
}

/// Difference of the store to the listeners.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Names to be removed, first.
    pub(super) removed: Vec<String>,
    /// Listeners to be added.
    pub(super) added: Vec<Stored>,
}

/// Contents of the store.
#[derive(Debug, Default)]
pub(super) struct Store(Vec<Stored>);

impl Store {
    /// Records a listener that came back from the store.
    pub(super) fn restore(&mut self, stored: Stored) {
        self.0.push(stored);
    }

    /// Replaces the contents by `listeners`; returns the steps.
    pub(super) fn replace(&mut self, listeners: Vec<Stored>) -> Difference {
        let gone = self.0.iter().filter(|stored| !listeners.contains(stored));
        let removed: Vec<_> = gone.map(|stored| stored.name.clone()).collect();
        // Removal is by name, and takes all sockets of that name.
        let is_kept = |stored: &Stored| self.0.contains(stored) && !removed.contains(&stored.name);
        let new = listeners.iter().filter(|stored| !is_kept(stored));
        let added = new.cloned().collect();
        self.0 = listeners;
        Difference { removed, added }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listeners(listeners: &[(&str, u64)]) -> Vec<Stored> {
        let listeners = listeners.iter();
        let stored = listeners.map(|(name, inode)| Stored {
            name: (*name).to_owned(),
            inode: *inode,
        });
        stored.collect()
    }

    #[test]
    fn only_differences_are_sent() {
        let mut store = Store::default();
        store.restore(listeners(&[("a", 1)]).remove(0));
        for (now, removed, added) in [
            (vec![("a", 1), ("b", 2)], vec![], vec![("b", 2)]),
            (vec![("b", 2), ("a", 1)], vec![], vec![]),
            // Bound anew, to the same address.
            (vec![("a", 3), ("b", 2)], vec!["a"], vec![("a", 3)]),
            (vec![("b", 2)], vec!["a"], vec![]),
            // Two sockets of one name.
            (vec![("b", 2), ("b", 4)], vec![], vec![("b", 4)]),
            (vec![("b", 4)], vec!["b"], vec![("b", 4)]),
            (vec![], vec!["b"], vec![]),
        ] {
            let expected = Difference {
                removed: removed.into_iter().map(str::to_owned).collect(),
                added: listeners(&added),
            };
            assert_eq!(store.replace(listeners(&now)), expected, "{now:?}");
        }
    }
}

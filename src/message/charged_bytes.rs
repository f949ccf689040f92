//! Content in memory, charged to its client until the last holder, hyper included, drops it.

use bytes::Bytes;

use crate::limits::budget::Part;

/// The bytes and the part of the budget that they are charged to.
struct ChargedBytes {
    bytes: Bytes,
    _part: Part,
}

impl AsRef<[u8]> for ChargedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Returns `bytes` charged to `part`, which is released when the last slice of them is dropped.
pub fn charge_bytes(bytes: Bytes, part: Part) -> Bytes {
    Bytes::from_owner(ChargedBytes { bytes, _part: part })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::limits::budget::{Budget, Owner, Party, SiteKey};

    #[test]
    fn the_last_slice_gives_the_part_back() {
        let budget = Arc::new(Budget::new(1000));
        let owner = Owner {
            party: Party::Connection(1),
            site: SiteKey::default(),
        };
        let mut part = Part::new(&budget, owner);
        part.grow(10).unwrap();
        let mut bytes = charge_bytes(Bytes::from(vec![1; 10]), part);
        let slice = bytes.split_to(3);
        drop(bytes);
        assert_eq!((slice.len(), budget.used()), (3, 10));
        drop(slice);
        assert_eq!(budget.used(), 0);
    }
}

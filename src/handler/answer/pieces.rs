//! Unsent pieces of an answer: the first and large ones as they came, small ones joined.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Limit on pieces that are copied to the one before, so that a script that prints byte by byte does not cost a
/// piece for each.
const SMALL: usize = 4 * 1024;

/// The pieces, in order.
#[derive(Debug, Default)]
pub struct Pieces {
    large: VecDeque<Bytes>,
    /// The bytes after all of them.
    small: BytesMut,
    len: usize,
}

impl Pieces {
    /// Returns the number of bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends a piece.
    pub fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let is_first = self.len == 0;
        self.len += piece.len();
        if piece.len() >= SMALL || is_first {
            self.put_small();
            self.large.push_back(piece);
        } else {
            self.small.extend_from_slice(&piece);
        }
    }

    /// Removes the first piece.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let large = self.large.pop_front();
        let next =
            large.or_else(|| (!self.small.is_empty()).then(|| self.small.split().freeze()))?;
        self.len -= next.len();
        Some(next)
    }

    /// Joins all pieces.
    pub(super) fn join(mut self) -> Bytes {
        self.put_small();
        if self.large.len() <= 1 {
            return self.large.pop_front().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.len);
        for piece in &self.large {
            whole.extend_from_slice(piece);
        }
        whole.freeze()
    }

    fn put_small(&mut self) {
        if !self.small.is_empty() {
            self.large.push_back(self.small.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn large(byte: u8) -> Bytes {
        Bytes::from(vec![byte; SMALL])
    }

    #[test]
    fn pieces_keep_their_order_and_large_ones_are_not_copied() {
        let first = large(b'1');
        let mut pieces = Pieces::default();
        for piece in [
            first.clone(),
            "2".into(),
            "3".into(),
            large(b'4'),
            "5".into(),
        ] {
            pieces.push(piece);
        }
        assert_eq!(pieces.len(), 2 * SMALL + 3);
        let popped: Vec<_> = std::iter::from_fn(|| pieces.pop()).collect();
        assert_eq!(
            popped,
            [first.clone(), "23".into(), large(b'4'), "5".into()]
        );
        assert_eq!(popped[0].as_ptr(), first.as_ptr());
        assert_eq!((pieces.len(), pieces.join()), (0, Bytes::new()));
    }

    #[test]
    fn one_large_piece_is_the_whole_without_a_copy() {
        let first = large(b'1');
        let mut pieces = Pieces::default();
        pieces.push(first.clone());
        assert_eq!(pieces.join().as_ptr(), first.as_ptr());
        let mut several = Pieces::default();
        several.push(large(b'1'));
        several.push("2".into());
        assert_eq!(several.join().len(), SMALL + 1);
    }
}

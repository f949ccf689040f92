//! The end of an answer that cannot be completed.

/// An answer that cannot be completed: hyper breaks the transfer visibly, so that no client takes
/// the part for the whole. Holds the cause code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer was cut: {0}")]
pub struct Cut(pub &'static str);

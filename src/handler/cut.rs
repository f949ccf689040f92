//! The error of an answer that cannot be completed.

/// The error of a body that cannot be completed, with its cause code. hyper aborts the transfer, so that no client takes
/// the part for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer was cut: {0}")]
pub struct Cut(pub &'static str);

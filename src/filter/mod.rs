//! Filters of answers, for every maker.

pub mod compress;
pub mod date;
pub mod edits;
pub mod error_page;
pub mod not_modified;
pub mod own_page;
pub mod precompressed;

//! What happens to any answer on its way out, whoever made it.

pub mod compress;
pub mod date;
pub mod edits;
pub mod error_page;
pub mod own_page;
pub mod precompressed;
pub mod unchanged;

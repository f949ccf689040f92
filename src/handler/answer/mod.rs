//! What concerns the answer of any upstream: its orders to the gateway, its validators, how much of it is kept for a
//! slow client, and how it gets there.

pub(super) mod content;
pub(super) mod orders;
pub(super) mod pieces;
pub(super) mod reply;
pub mod send_file;
mod store;
mod streaming;
mod sweep;
mod validators;

pub use content::ScriptContent;
pub use send_file::SendFile;

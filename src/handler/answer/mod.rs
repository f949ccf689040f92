//! What concerns the answer of any upstream: its orders to the gateway, its validators, how much of it is kept for a
//! slow client, and how it gets there. It knows no protocol: an answer is an [`Incoming`], whoever brings it.

mod content;
pub mod incoming;
mod orders;
pub mod pieces;
pub mod reply;
pub mod send_file;
mod store;
mod streaming;
mod sweep;
mod terms;
mod validators;

pub use content::UpstreamContent;
pub use incoming::{Begun, Incoming};
pub use pieces::Pieces;
pub use reply::{NoReply, Reply};
pub use send_file::SendFile;
pub use terms::Settings;

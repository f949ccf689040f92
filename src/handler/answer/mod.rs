//! The answer of any upstream: its orders to the gateway, its validators, its buffer for a slow client, its
//! delivery. Independent of the protocol: an answer is an [`Incoming`], whatever upstream sends it.

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
pub use incoming::{Incoming, StartedAnswer};
pub(crate) use orders::is_live_answer;
pub use pieces::Pieces;
pub use reply::{Reply, ReplyError};
pub use send_file::SendFile;
pub use terms::Settings;

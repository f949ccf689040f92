//! Messages between the parent and a server: a pair of SEQPACKET sockets (unix(7)), each message in one packet with its
//! descriptors. A second pair carries the requests of a server for files.
//!
//! A server names files and listeners by their index in its grant, which it sent while it had the parent's rights and
//! had not seen a client yet. The parent trusts no message but that one.

pub mod blob;
mod channel;
pub mod file_access;
mod grant;
mod message;
pub mod packet;

pub use channel::Channel;
pub use grant::{Address, AdminPlan, Grant, ListenerPlan};
pub use message::{Intent, Outcome, PROTOCOL, Source, ToParent, ToServer};

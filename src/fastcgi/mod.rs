//! The FastCGI protocol, version 1: records and name-value pairs as pure functions, and
//! [`exchange`], the one file that does I/O: a request and its answer on one connection.

mod broken;
pub mod decoder;
pub mod exchange;
mod link;
pub mod management;
pub mod pace;
pub mod params;
pub mod record;
mod stdin;

pub use broken::{Broken, ExchangeError, Progress};
pub use exchange::{Answer, Exchange};
pub use link::{Ended, Link, Outbound};
pub use pace::{Limit, Pace, Total};

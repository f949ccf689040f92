//! The FastCGI protocol, version 1: records and name-value pairs as pure functions, and
//! [`exchange`], the one file that does I/O: a request and its answer on one connection.

pub mod decoder;
pub mod exchange;
pub mod management;
pub mod pace;
pub mod params;
pub mod record;
mod stdin;

pub use exchange::{Answer, Broken, Exchange, ExchangeError, Link, Outbound, Progress};
pub use pace::{Limit, Pace};

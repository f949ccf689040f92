//! Logs written to a file or a pipe: lines are appended to a bounded queue, which a thread writes. No caller waits for
//! the file; lines without room in the queue are dropped, counted and reported.

mod log;
mod logs;
mod name;
mod pending;
pub mod section;
mod sink;
pub mod stderr;
pub mod style;
mod target;
mod thread;

#[cfg(test)]
mod tests;

pub use log::LineLog;
pub use logs::{Destination, Logs, close};

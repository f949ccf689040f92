//! Logs written to a file or a pipe: lines are appended to a bounded queue, which a thread of its own writes. No caller
//! waits for the file; lines without room in the queue are dropped, counted and reported.

mod name;
mod pending;
mod sink;
pub mod stderr;
mod writer;

pub use name::LogName;
pub use sink::Sink;
pub use writer::LineLog;

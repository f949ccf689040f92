//! Lines on their way to a file or a pipe: appended to a bounded queue, and written by a thread that does nothing
//! else. No caller ever waits for the file; lines that find no room are dropped, counted and reported.

mod name;
mod pending;
mod sink;
pub mod stderr;
mod writer;

pub use name::LogName;
pub use sink::Sink;
pub use writer::LineLog;

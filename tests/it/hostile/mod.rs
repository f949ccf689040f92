//! Clients that take more than their share, and what becomes of others meanwhile. docs/security.md says what holds; here
//! it is attacked, one kind of resource a file.

mod arena;
mod connections;
mod logs;
mod processor;
mod queue;
mod requests;
mod spool;
mod stalled_readers;
mod together;
mod workers;

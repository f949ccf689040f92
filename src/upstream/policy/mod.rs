//! Which member of an upstream gets a request: pure functions from loads to an index.

pub mod least_busy;

//! FastCGI servers such as PHP-FPM: each connection occupies a worker, found by a probe and shared out by a queue.

pub mod admission;
mod connecting;
mod cooling;
pub(super) mod denied;
pub mod inquiry;
mod keeper;
pub mod lease;
pub mod member;
mod opening;
mod scout;
pub mod snapshot;
mod waiting;

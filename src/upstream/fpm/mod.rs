//! What only PHP-FPM and other FastCGI servers have: a worker for each connection, which a probe finds
//! and a queue shares out.

pub mod admission;
pub(super) mod connecting;
mod cooling;
pub(super) mod denied;
pub mod inquiry;
mod keeper;
pub mod lease;
pub mod member;
pub mod picture;
mod scout;
pub mod waiting;

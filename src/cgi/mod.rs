//! The Common Gateway Interface, RFC 3875: which script a request means, what it is told, and
//! the head that it prints. Values in, values out; nothing here does I/O.

pub mod meta_variables;
pub mod passing;
mod redirected;
pub mod response;
pub mod script;

pub use passing::Passing;
pub use script::{Mapping, Script};

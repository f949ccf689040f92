//! The Common Gateway Interface, RFC 3875: which script a request means, what it is told, and
//! the head that it prints. Values in, values out; nothing here does I/O.

pub mod contract;
pub mod long_variable;
pub mod meta_variables;
pub mod response;
pub mod script;
pub mod set_env;
mod ssl_variables;

pub use contract::{Contract, Responder};
pub use long_variable::LongVariable;
pub use script::{Mapping, Script};

//! The Common Gateway Interface, RFC 3875: the script of a request, its meta-variables, and the head of its
//! answer. Values in, values out, without I/O.

pub mod contract;
pub mod long_variable;
pub mod meta_variables;
pub mod response;
pub mod script;
pub mod set_env;
mod ssl_variables;

pub use contract::{Contract, Responder};
pub use long_variable::LongVariable;
pub use script::{Mapping, ResolvedRoots, Script};

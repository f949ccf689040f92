//! Rights of the server process: its user, its capabilities, and its sandbox of Landlock and seccomp. All of it must be
//! called before another thread starts: credentials, Landlock (before ABI 8) and seccomp apply to threads.
//!
//! docs/security.md, "Privileges and sandbox", has the effect on each kernel; docs/internals/sandbox.md the lists.

pub mod accounts;
#[cfg(debug_assertions)]
pub mod attempt;
mod confinement;
mod credentials;
mod kernel;
mod landlock;
mod refusals;
mod report;
mod sandbox;
mod seccomp;
mod section;
mod threads;
mod user;

pub use confinement::{Confinement, Needs};
pub use credentials::{DropError, drop_privileges};
pub use kernel::{KernelError, check_kernel};
pub use report::Report;
pub use sandbox::{ConfineError, Sandbox, confine};
pub use section::{GROUP, SANDBOX, USER};
pub use user::{Asked, User, UserError, ascending};

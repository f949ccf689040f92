//! fcgate, the gateway in front of PHP-FPM. A request is one straight line:
//!
//! `server::listener` accepts → `server::connection` tells the protocol and runs hyper →
//! `server::service` drives the `journey`, which finds site and rule → a `handler` decides, its plan is performed →
//! filters → the answer's body is polled by hyper, and its end writes the log line.
//!
//! ARCHITECTURE.md has the map; `tests/tidy.rs` holds the layers to it.

pub mod access_log;
pub mod admin;
pub mod allocator;
pub mod auth;
pub mod cgi;
pub mod cli;
pub mod config;
pub mod disk;
pub mod failure;
pub mod fastcgi;
pub mod filter;
pub mod handler;
pub mod journey;
pub mod limits;
pub mod line_log;
pub mod message;
pub mod modifier;
pub mod moment;
pub mod process;
pub mod route;
pub mod section;
pub mod server;
pub mod site;
pub mod stream;
pub mod threads;
pub mod timer;
pub mod tls;
pub mod upstream;
pub mod value;

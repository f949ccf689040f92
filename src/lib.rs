//! fcgate, the gateway in front of PHP-FPM. A request takes one path:
//!
//! `server::listener` accepts → `server::connection` detects the protocol and runs hyper →
//! `server::service` drives the `journey`, which finds site and rule → a `handler` decides, its plan is performed →
//! filters → hyper polls the response body, whose end writes the log line.
//!
//! ARCHITECTURE.md has the map; `tests/tidy.rs` enforces its layers.

pub mod access_log;
pub mod admin;
pub mod allocator;
pub mod auth;
pub mod cgi;
pub mod cli;
pub mod config;
pub mod control;
pub mod disk;
pub mod failure;
pub mod fastcgi;
pub mod files;
pub mod filter;
pub mod handler;
pub mod journey;
pub mod limits;
pub mod line_log;
pub mod message;
pub mod modifier;
pub mod moment;
pub mod parent;
pub mod privilege;
pub mod process;
pub mod route;
pub mod section;
pub mod server;
pub mod service;
pub mod site;
pub mod stream;
pub mod threads;
pub mod timer;
pub mod tls;
pub mod upstream;
pub mod value;

//! What fcgate does, as seen from outside: each test starts the program, a PHP-FPM or a scripted application behind
//! it, and talks to both. One file for each behaviour.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends here, and says where"
)]

mod access_log;
mod balancing;
mod broken_answers;
mod browser;
mod check_config;
mod client_limits;
mod commands;
mod fastcgi;
mod h2c;
mod harness;
mod harness_itself;
mod http1;
mod idle;
mod lifecycle;
mod listeners;
mod log_formats;
mod php;
mod php_restarts;
mod proxy_protocol;
mod queue;
mod response_buffer;
mod routing;
mod send_file;
mod static_files;
mod stderr;
mod strict_http1;
mod time_limits;
mod tls;
mod tls_files;
mod uploads;
mod upstream;

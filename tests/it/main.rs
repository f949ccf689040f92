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
mod admin;
mod admin_clients;
mod admission_clients;
mod admission_facts;
mod admission_overload;
mod admission_restart;
mod admission_sharing;
mod after_the_answer;
mod applications;
mod authentication;
mod balancing;
mod bounds;
mod breach;
mod broken_answers;
mod browser;
mod certificates_under_load;
mod cgi_answers;
mod cgi_contract;
mod cgi_table;
mod cgi_variables;
mod check_config;
mod classification;
mod client_limits;
mod clients_that_stop;
mod commands;
mod compression;
mod dates;
mod differential;
mod doctor;
mod documents;
mod ends;
mod error_pages;
mod expanded;
mod expectations;
mod explain;
mod explain_is_run;
mod extremes;
mod fair_queue;
mod fastcgi;
mod folders;
mod forward_auth;
mod forwarded;
mod full_pipes;
mod h2c;
mod half_closed;
mod harness;
mod harness_itself;
mod held_workers;
mod hostile;
mod http1;
mod http2_frames;
mod http2_heads;
mod idle;
mod killed_workers;
mod large_variables;
mod last_call;
mod lifecycle;
mod listener_sites;
mod listeners;
mod log_formats;
mod manners;
mod misbehaviours;
mod modifiers;
mod mounts;
mod other_applications;
mod php;
mod php_behaviour;
mod php_names;
mod php_restarts;
mod presets;
mod processes;
mod proxy_protocol;
mod proxy_targets;
mod queue;
mod refused_readings;
mod reload_under_load;
mod request_bodies;
mod response_buffer;
mod room;
mod routing;
mod rule_limits;
mod rules;
mod schema;
mod send_file;
mod slow_clients;
mod stalled_answers;
mod stalled_encoders;
mod static_apache;
mod static_changes;
mod static_files;
mod static_transfers;
mod static_tree;
mod stderr;
mod streaming;
mod strict_http1;
mod threads;
mod time_limits;
mod tls;
mod tls_files;
mod unruled;
mod unsaturated;
mod uploads;
mod upstream;
mod vary;
mod warnings;

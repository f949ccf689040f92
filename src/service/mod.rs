//! The manager of services (systemd): messages to it, its watchdog, and the names of the descriptors that it keeps. Silent
//! where there is none.

mod message;
pub mod names;
mod notifier;
mod store;
mod watchdog;

use std::process::Command;

pub use message::{Load, State};
pub use notifier::Notifier;
pub use watchdog::{Turned, Watchdog};

/// Variables by which the manager addresses one process: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).
const VARIABLES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// Reports whether the variable is addressed to this process alone: its children must not have it.
pub fn is_private(variable: &str) -> bool {
    VARIABLES.contains(&variable)
}

/// Removes the manager's variables from the environment of a child.
pub fn hide_from(child: &mut Command) {
    for variable in VARIABLES {
        child.env_remove(variable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_do_not_have_the_variables() {
        let mut child = Command::new("env");
        child.env("NOTIFY_SOCKET", "/run/notify").env("KEPT", "1");
        hide_from(&mut child);
        let output = child.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("KEPT=1"), "{text}");
        assert!(
            !text
                .lines()
                .any(|line| is_private(line.split('=').next().unwrap()))
        );
    }
}

//! The rights of this process in one line.

use std::path::PathBuf;

use super::confinement::Confinement;
use super::user::User;

/// Rights that a process has kept.
#[derive(Debug)]
pub struct Report {
    user: User,
    reads: usize,
    ports: Vec<u16>,
    /// The version of the interface of Landlock.
    pub(super) landlock: Part<u32>,
    /// The number of allowed system calls.
    pub(super) seccomp: Part<usize>,
    /// Granted files that the user cannot open.
    pub(super) unreachable: Vec<PathBuf>,
}

/// A part of the sandbox.
#[derive(Debug)]
pub(super) enum Part<T> {
    /// By the configuration.
    Off,
    /// In force.
    Holds(T),
    /// Refused by the kernel, with the remedy.
    Missing(String),
}

/// Version of Landlock's interface with TCP ports, which `sandbox = "require"` takes.
const PORTS: u32 = 4;

/// Later versions of Landlock's interface, with the kernel and the effect of each.
const LATER: [(u32, &str); 3] = [
    (PORTS, "TCP ports are not confined before Linux 6.7"),
    (
        6,
        "abstract unix sockets are not confined before Linux 6.12",
    ),
    (9, "unix sockets are not confined before Linux 7.1"),
];

impl Report {
    pub(super) fn new(user: User, confinement: &Confinement) -> Self {
        Self {
            user,
            reads: confinement.reads.len(),
            ports: confinement.ports.clone(),
            landlock: Part::Off,
            seccomp: Part::Off,
            unreachable: Vec::new(),
        }
    }

    /// Returns the missing parts with their remedies; `None` if nothing is missing that every kernel since 6.7 has.
    pub(super) fn missing(&self) -> Option<String> {
        let landlock = match &self.landlock {
            Part::Holds(abi) => unconfined(*abi, PORTS),
            Part::Missing(reason) => vec![reason.as_str()],
            Part::Off => Vec::new(),
        };
        let seccomp = match &self.seccomp {
            Part::Missing(reason) => Some(reason.as_str()),
            Part::Holds(_) | Part::Off => None,
        };
        let missing: Vec<_> = landlock.into_iter().chain(seccomp).collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    /// Logs the line, and warnings of what is missing.
    pub fn log(&self) {
        let user = &self.user;
        if user.is_root() {
            tracing::warn!("server.user = \"root\": a flaw in the gateway would have root's files");
        }
        if matches!(self.landlock, Part::Off) {
            tracing::warn!(
                user = user.name,
                "no sandbox: server.sandbox = \"off\" is for a diagnosis"
            );
            return;
        }
        tracing::info!(
            user = user.name,
            landlock = self.landlock_text(),
            readable = self.reads,
            ports = self.ports_text(),
            seccomp = self.seccomp_text(),
            "sandbox"
        );
        if !self.unreachable.is_empty() {
            let paths: Vec<_> = self
                .unreachable
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            tracing::warn!("the user {} cannot open {}", user.name, paths.join(", "));
        }
    }

    fn landlock_text(&self) -> String {
        match &self.landlock {
            Part::Off => "off".to_owned(),
            Part::Missing(reason) => format!("none: {reason}"),
            Part::Holds(abi) => match unconfined(*abi, u32::MAX)[..] {
                [] => format!("ABI {abi}"),
                ref later => format!("ABI {abi} ({})", later.join("; ")),
            },
        }
    }

    fn ports_text(&self) -> String {
        let ports: Vec<_> = self.ports.iter().map(u16::to_string).collect();
        if ports.is_empty() {
            return "none".to_owned();
        }
        ports.join(" ")
    }

    fn seccomp_text(&self) -> String {
        match &self.seccomp {
            Part::Off => "off".to_owned(),
            Part::Missing(reason) => format!("none: {reason}"),
            Part::Holds(calls) => format!("{calls} calls"),
        }
    }
}

/// Returns the effects of the versions above `abi` up to `newest`.
fn unconfined(abi: u32, newest: u32) -> Vec<&'static str> {
    let later = LATER
        .iter()
        .filter(|(version, _)| abi < *version && *version <= newest);
    later.map(|(_, effect)| *effect).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(landlock: Part<u32>, seccomp: Part<usize>) -> Report {
        Report {
            landlock,
            seccomp,
            ..Report::new(User::own(), &Confinement::default())
        }
    }

    #[test]
    fn missing_parts_are_named_with_the_kernel_that_has_them() {
        for (landlock, seccomp, expected) in [
            (Part::Holds(4), Part::Holds(90), None),
            (Part::Holds(9), Part::Holds(90), None),
            (
                Part::Holds(2),
                Part::Holds(90),
                Some("TCP ports are not confined before Linux 6.7"),
            ),
            (
                Part::Missing("no Landlock".to_owned()),
                Part::Missing("no seccomp".to_owned()),
                Some("no Landlock; no seccomp"),
            ),
        ] {
            let report = report(landlock, seccomp);
            assert_eq!(report.missing().as_deref(), expected, "{report:?}");
        }
    }

    #[test]
    fn a_line_names_the_version_and_its_gaps() {
        let text = |abi| report(Part::Holds(abi), Part::Off).landlock_text();
        assert_eq!(text(9), "ABI 9");
        assert_eq!(
            text(7),
            "ABI 7 (unix sockets are not confined before Linux 7.1)"
        );
        assert!(
            text(3).starts_with("ABI 3 (TCP ports are not confined before Linux 6.7; abstract")
        );
    }
}

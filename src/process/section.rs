//! `[process.NAME]`: the section of a program.

use std::collections::BTreeMap;
use std::time::Duration;

use super::program::{Program, StopSignal};
use super::user::{GROUP, USER};
use crate::privilege::User;
use crate::section::{At, Key, Lowered, Pairs, Problem, Problems, Section, absolute_path};
use crate::service;

/// The `[process.NAME]` section.
pub static PROCESS: Section = Section {
    title: "[process.NAME]",
    doc: "A program that fcgate starts before it serves, restarts when it exits, and stops after it has drained; its output goes to fcgate's log. It must stay in the foreground. Upstreams reach it by its socket, as any other server.",
    groups: &[&[
        &COMMAND,
        &PASS_ENVIRONMENT,
        &ENVIRONMENT,
        &USER,
        &GROUP,
        &STOP_SIGNAL,
        &STOP,
    ]],
};

pub(crate) static COMMAND: Key<Vec<At<String>>> = Key::texts(
    "command",
    "Program and arguments, without a shell; a program without `/` is searched for in $PATH, any other is an absolute path.",
)
.shown("[\"php-fpm\", \"--nodaemonize\"]");

static PASS_ENVIRONMENT: Key<Vec<At<String>>> = Key::texts(
    "pass_environment",
    "Variables of fcgate's own environment that the program gets; \"*\": all but those by which systemd speaks to fcgate itself.",
)
.default("[\"PATH\", \"HOME\", \"LANG\", \"TZ\", \"TMPDIR\"]");

pub(crate) static ENVIRONMENT: Key<Pairs> = Key::pairs(
    "environment",
    "Further environment variables of the program.",
)
.example("{ APP_ENV = \"production\" }");

static STOP_SIGNAL: Key<At<String>> = Key::one_of("stop_signal", &["TERM", "QUIT", "INT"], "Signal that stops the program. PHP-FPM finishes its requests on \"QUIT\" (within its process_control_timeout) and ends them at once on \"TERM\".").default("\"TERM\"");

static STOP: Key<Duration> = Key::duration(
    "stop",
    "Time limit from the signal to the exit of the program; then it is killed with all its children.",
)
.default("\"10s\"");

impl Program {
    /// Builds a program from its section; `None` without a command or with an unknown user. By default it runs as the user
    /// `server`.
    pub fn build(
        name: &At<String>,
        section: &Lowered,
        server: &User,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut command = section.get(&COMMAND).into_iter();
        let Some(path) = command.next().filter(|path| !path.value.is_empty()) else {
            problems.push(
                Problem::new(
                    section.place(),
                    format!("the process `{}` has no command", name.value),
                )
                .help("command = [\"php-fpm\", \"--nodaemonize\"]"),
            );
            return None;
        };
        // As execvp(3): a name without a slash is searched in $PATH.
        if path.value.contains('/') {
            absolute_path(&path, problems)?;
        }
        Some(Self {
            name: name.value.clone(),
            path: path.value,
            arguments: command.map(|text| text.value).collect(),
            environment: environment(section),
            user: User::build(section, (&User::own(), server), problems)?,
            stop_signal: stop_signal(section),
            stop: section.get(&STOP),
        })
    }
}

/// Returns the passed variables of our environment, and the configured ones, which take precedence. Those of the service
/// manager are addressed to this process.
fn environment(section: &Lowered) -> BTreeMap<String, String> {
    let passed = section.get(&PASS_ENVIRONMENT);
    let is_passed = |name: &str| {
        passed
            .iter()
            .any(|text| text.value == "*" || text.value == name)
    };
    let own = section.get(&ENVIRONMENT).into_iter();
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| is_passed(name) && !service::is_private(name))
        .chain(own.map(|(name, value)| (name.value, value.value)))
        .collect()
}

fn stop_signal(section: &Lowered) -> StopSignal {
    match section.get(&STOP_SIGNAL).as_str() {
        "QUIT" => StopSignal::Quit,
        "INT" => StopSignal::Interrupt,
        _ => StopSignal::Terminate,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use toml::de::DeTable;

    use super::*;

    /// Builds a program from the lines of its section; the error has the messages of all problems.
    pub(in crate::process) fn build(text: &str) -> Result<Program, Vec<String>> {
        let table = DeTable::parse(text).unwrap();
        let mut problems = Problems::default();
        let section = PROCESS.lower(
            table.get_ref(),
            Default::default(),
            &|_| None,
            &mut problems,
        );
        let name = At {
            value: "php".to_owned(),
            place: Default::default(),
        };
        let program = Program::build(&name, &section, &User::own(), &mut problems);
        program.ok_or_else(|| {
            let problems = problems.into_sorted().into_iter();
            problems.map(|problem| problem.message).collect()
        })
    }

    #[test]
    fn a_process_has_a_command() {
        for text in ["", "command = []", "command = [\"\"]"] {
            let expected = ["the process `php` has no command"];
            assert_eq!(build(text).unwrap_err(), expected, "{text}");
        }
        let program = build("command = [\"php-fpm\", \"-F\"]\nstop_signal = \"QUIT\"").unwrap();
        assert_eq!(
            (
                program.path.as_str(),
                program.arguments.as_slice(),
                program.stop_signal
            ),
            ("php-fpm", ["-F".to_owned()].as_slice(), StopSignal::Quit)
        );
    }

    #[test]
    fn a_user_is_a_name_or_a_number_of_this_machine() {
        let build = |lines: &str| build(&format!("command = [\"x\"]\n{lines}"));
        let own = User::own();
        assert_eq!(build("").unwrap().user, own);
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let named = build(&format!("user = \"{uid}\"\ngroup = \"{gid}\"")).unwrap();
        let ids = |user: &User| {
            format!("{user:?}")
                .split("groups")
                .next()
                .map(str::to_owned)
        };
        assert_eq!(ids(&named.user), ids(&own));
        for (lines, expected) in [
            ("user = \"no-such\"", "unknown user `no-such`"),
            ("group = \"no-such\"", "unknown group `no-such`"),
        ] {
            assert_eq!(build(lines).unwrap_err(), [expected], "{lines}");
        }
    }

    #[test]
    fn it_gets_the_variables_that_are_named_and_its_own() {
        let names = |text: &str| {
            let program = build(&format!("command = [\"x\"]\n{text}")).unwrap();
            let names = program.environment.into_keys();
            names.collect::<Vec<_>>()
        };
        assert!(names("").iter().any(|name| name == "PATH"));
        assert!(!names("").iter().any(|name| name == "CARGO_MANIFEST_DIR"));
        let all = "pass_environment = [\"*\"]";
        assert!(names(all).iter().any(|name| name == "CARGO_MANIFEST_DIR"));
        let own = "pass_environment = []\nenvironment = { A = \"1\" }";
        assert_eq!(names(own), ["A"]);
    }
}

//! `[process.NAME]`: the section of a program.

use nix::sys::signal::Signal;

use super::Program;
use crate::section::{At, Key, Kind, Lowered, Problem, Problems, Section, absolute_path};

/// The `[process.NAME]` section.
pub static PROCESS: Section = Section {
    title: "[process.NAME]",
    doc: "A program that fcgate starts before it serves, restarts when it ends, and stops after it has drained; what it prints goes to fcgate's log. It has to stay in the foreground. An upstream finds it by its socket as any other.",
    keys: &[
        Key::new("command", Kind::Texts, "The program and its arguments, without a shell; a program without `/` is looked for in $PATH, any other is an absolute path.").shown("[\"php-fpm\", \"--nodaemonize\"]"),
        Key::new("pass_environment", Kind::Texts, "The variables of fcgate's own environment that it gets; \"*\": all of them.").default("[\"PATH\", \"HOME\", \"LANG\", \"TZ\", \"TMPDIR\"]"),
        Key::new("environment", Kind::Pairs, "Further variables.").example("{ APP_ENV = \"production\" }"),
        Key::new("stop_signal", Kind::OneOf(&["TERM", "QUIT", "INT"]), "What tells it to end; PHP-FPM ends what it has begun on \"QUIT\" (as long as its process_control_timeout says) and at once on \"TERM\".").default("\"TERM\""),
        Key::new("stop", Kind::Duration, "How long it may take to end before it is killed with all its children.").default("\"10s\""),
    ],
};

impl Program {
    /// Builds a program from its section; `None` without a command.
    pub fn build(name: &At<String>, section: &Lowered, problems: &mut Problems) -> Option<Self> {
        let mut command = section.texts("command").into_iter();
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
            stop_signal: stop_signal(section),
            stop: section.duration("stop"),
            section: section.clone(),
        })
    }
}

/// Returns the passed variables of our environment, then the configured ones, which take precedence.
fn environment(section: &Lowered) -> Vec<(String, String)> {
    let passed = section.texts("pass_environment");
    let is_passed = |name: &str| {
        passed
            .iter()
            .any(|text| text.value == "*" || text.value == name)
    };
    let own = section.pairs("environment").into_iter();
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| is_passed(name))
        .chain(own.map(|(name, value)| (name.value, value.value)))
        .collect()
}

fn stop_signal(section: &Lowered) -> Signal {
    let text = section.text("stop_signal");
    match text.as_ref().map(|text| text.value.as_str()) {
        Some("QUIT") => Signal::SIGQUIT,
        Some("INT") => Signal::SIGINT,
        Some(_) | None => Signal::SIGTERM,
    }
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    /// Builds a program from the lines of its section; the error has the messages of all problems.
    fn build(text: &str) -> Result<Program, Vec<String>> {
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
        let program = Program::build(&name, &section, &mut problems);
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
            ("php-fpm", ["-F".to_owned()].as_slice(), Signal::SIGQUIT)
        );
    }

    #[test]
    fn it_gets_the_variables_that_are_named_and_its_own() {
        let names = |text: &str| {
            let program = build(&format!("command = [\"x\"]\n{text}")).unwrap();
            let names = program.environment.into_iter().map(|(name, _)| name);
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

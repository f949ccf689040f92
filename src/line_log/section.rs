//! `server.log`: the error log.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tracing::Level;
use tracing_subscriber::filter::Targets;

use super::style::Style;
use super::target;
use crate::section::{At, Key, Lowered, Pairs, Problem, Problems, Section, absolute_path};

/// The `[server.log]` section.
pub static LOG: Section = Section {
    title: "[server.log]",
    doc: "The error log: events, PHP's error streams, and the output of programs.",
    groups: &[&[&LEVEL, &LEVELS, &TO, &FORMAT]],
};

static LEVEL: Key<At<String>> = Key::one_of(
    "level",
    &["error", "warn", "info", "debug"],
    "Least severe level of the logged events.",
)
.default("\"info\"");

static LEVELS: Key<Pairs> = Key::pairs("levels", "Levels of targets that differ from `level`: error, warn, info, debug or off. Targets: admin (the admin listener), auth, config (reloads), connection (listeners and connections before a request), http2 (frames of clients, logged from \"warn\" on with `level = \"debug\"` alone), php (error streams of scripts and calls), process, request (failed requests, files), tls, upstream. \"off\" silences a target.").example("{ upstream = \"debug\", php = \"error\" }");

/// The `to` key.
pub static TO: Key<At<String>> = Key::text("to", "\"stderr\", or the absolute path of a file, which is reopened as an access log is. Messages before the configuration is read, and panics, go to stderr.").default("\"stderr\"");

static FORMAT: Key<At<String>> = Key::one_of("format", &["text", "json", "apache"], "\"text\"; \"json\": an object a line with time, level, target and message, and where they are known client, site, script, upstream, request_id, trace_id and cause; \"apache\": the lines of Apache 2.4, and with level \"error\" those that fail2ban's filters apache-auth, apache-noscript and apache-overflows look for, in place of the same at \"debug\": a wrong password (AH01617), an unknown user (AH01618), a user who is not admitted (AH01631), a refused client (AH01630), a script that does not exist, a malformed or too long target (AH00126, AH00565); a file that does not exist (AH00128) at \"info\".").default("\"text\"");

/// Settings of the error log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorLogSettings {
    /// The style of its lines.
    pub style: Style,
    /// Its file; `None` for stderr.
    pub file: Option<PathBuf>,
    level: Threshold,
    /// Levels of targets.
    levels: Vec<(String, Threshold)>,
}

/// Least severe level of the logged events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Threshold {
    /// No event is logged.
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

impl Threshold {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "off" => Self::Off,
            "error" => Self::Error,
            "warn" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            _ => return None,
        })
    }

    fn level(self) -> Option<Level> {
        match self {
            Self::Off => None,
            Self::Error => Some(Level::ERROR),
            Self::Warn => Some(Level::WARN),
            Self::Info => Some(Level::INFO),
            Self::Debug => Some(Level::DEBUG),
        }
    }
}

impl ErrorLogSettings {
    /// Builds the settings from the section.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let to = section.get(&TO);
        let levels = section.get(&LEVELS).into_iter();
        Self {
            style: match section.get(&FORMAT).as_str() {
                "json" => Style::Json,
                "apache" => Style::Apache,
                _ => Style::Text,
            },
            file: match to.as_str() {
                "stderr" => None,
                _ => absolute_path(&to, problems),
            },
            level: Threshold::parse(&section.get(&LEVEL)).unwrap_or_default(),
            levels: levels
                .filter_map(|(name, level)| target_level(&name, &level, problems))
                .collect(),
        }
    }

    /// Returns the filter of events.
    pub(super) fn filter(&self) -> Targets {
        let level = self.level.level();
        // h2 warns of each connection that resets too many streams, which a client can do thousands of times a second.
        let of_h2 = level.filter(|level| *level >= Level::DEBUG);
        let notices = level.filter(|_| self.style == Style::Apache);
        let defaults = Targets::new()
            .with_default(level)
            .with_target("h2", of_h2.unwrap_or(Level::ERROR))
            .with_target(NOTICE, notices);
        let levels = self.levels.iter();
        let each = levels
            .flat_map(|(name, level)| target::modules(name).iter().map(|it| (*it, level.level())));
        defaults.with_targets(each)
    }
}

/// Target of events that only Apache's style has.
pub const NOTICE: &str = "apache";

fn target_level(
    name: &At<String>,
    level: &At<String>,
    problems: &mut Problems,
) -> Option<(String, Threshold)> {
    let is_known = target::names().any(|known| known == name.as_str());
    if !is_known {
        let message = format!("`{}` is not a target of the log", name.value);
        let names: Vec<_> = target::names().collect();
        let help = format!("targets: {}", names.join(", "));
        problems.push(Problem::new(name.place.clone(), message).help(help));
    }
    let threshold = Threshold::parse(level);
    if threshold.is_none() {
        let message = format!("`{}` is not a level", level.value);
        let help = "levels: error, warn, info, debug, off";
        problems.push(Problem::new(level.place.clone(), message).help(help));
    }
    is_known.then(|| name.value.clone()).zip(threshold)
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    fn build(text: &str) -> Result<ErrorLogSettings, Vec<String>> {
        let table = DeTable::parse(text).unwrap();
        let mut problems = Problems::default();
        let section = LOG.lower(
            table.get_ref(),
            Default::default(),
            &|_| None,
            &mut problems,
        );
        let settings = ErrorLogSettings::build(&section, &mut problems);
        let found = problems.into_sorted().into_iter();
        let messages: Vec<_> = found
            .map(|problem| format!("{}: {}", &text[problem.place.span], problem.message))
            .collect();
        messages.is_empty().then_some(settings).ok_or(messages)
    }

    #[test]
    fn targets_have_levels_of_their_own() {
        for (text, module, level, expected) in [
            ("", "fcgate::server", Level::INFO, true),
            ("", "fcgate::server", Level::DEBUG, false),
            ("", "h2::proto", Level::WARN, false),
            ("", "h2::proto", Level::ERROR, true),
            ("level = 'warn'", "h2::proto", Level::WARN, false),
            ("level = 'debug'", "h2::proto", Level::WARN, true),
            ("levels.http2 = 'warn'", "h2::proto", Level::WARN, true),
            (
                "levels.upstream = 'debug'",
                "fcgate::upstream::fpm",
                Level::DEBUG,
                true,
            ),
            (
                "levels.upstream = 'debug'",
                "fcgate::tls",
                Level::DEBUG,
                false,
            ),
            (
                "levels.php = 'error'",
                "fcgate::handler::fastcgi::call",
                Level::WARN,
                false,
            ),
            (
                "levels.php = 'off'",
                "fcgate::handler::fastcgi::call",
                Level::ERROR,
                false,
            ),
            (
                "levels.php = 'off'",
                "fcgate::handler::static_files",
                Level::ERROR,
                true,
            ),
            ("", NOTICE, Level::ERROR, false),
            ("format = 'json'", NOTICE, Level::ERROR, false),
            ("format = 'apache'", NOTICE, Level::INFO, true),
            (
                "format = 'apache'\nlevel = 'warn'",
                NOTICE,
                Level::INFO,
                false,
            ),
        ] {
            let filter = build(text).unwrap().filter();
            assert_eq!(
                filter.would_enable(module, &level),
                expected,
                "{text}: {module} {level}"
            );
        }
    }

    #[test]
    fn faults_are_shown_where_they_stand() {
        for (text, expected) in [
            (
                "to = 'error.log'",
                "'error.log': `error.log` is not an absolute path",
            ),
            (
                "levels = { upstraem = 'info' }",
                "upstraem: `upstraem` is not a target of the log",
            ),
            (
                "levels = { upstream = 'all' }",
                "'all': `all` is not a level",
            ),
        ] {
            assert_eq!(build(text).unwrap_err(), [expected]);
        }
    }
}

//! The logs that a configuration names: each destination is opened once, whoever names it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::folders;
use crate::access_log::AccessLogs;
use crate::access_log::section::{ACCESS_LOG, SERVER_ACCESS_LOG};
use crate::line_log::section::{ErrorLogSettings, LOG, TO};
use crate::line_log::{Destination, LineLog, Logs};
use crate::section::{Key, Lowered, Place, Problem, Problems, Table};
use crate::site::logs::{NamedLog, SnapshotLogs};

/// `server.log`.
pub(super) static LOG_KEY: Key<Table> = Key::text_or("log", &LOG, "The error log.");

/// Most files of logs: each has a queue and an open file.
const MOST: usize = 1024;

/// The logs of a configuration, while it is built.
#[derive(Debug)]
pub(super) struct LogsInUse {
    logs: Arc<Logs>,
    used: Mutex<HashMap<Destination, LineLog>>,
}

impl LogsInUse {
    /// Returns a collection of no logs, with those of the previous configuration at hand.
    pub(super) fn new(previous: Option<&SnapshotLogs>) -> Self {
        Self {
            logs: previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.all)),
            used: Mutex::default(),
        }
    }

    /// Builds the access logs of the server, by default one on stdout.
    pub(super) fn of_server(&self, section: &Lowered, problems: &mut Problems) -> Arc<AccessLogs> {
        match section.given(&SERVER_ACCESS_LOG) {
            Some(sections) => self.access_logs(sections, problems),
            None => self.access_logs(SERVER_ACCESS_LOG.empty_section().as_slice(), problems),
        }
    }

    /// Builds the access logs of a listener or a site; `None` if it has none of its own.
    pub(super) fn of_section(
        &self,
        section: &Lowered,
        problems: &mut Problems,
    ) -> Option<Arc<AccessLogs>> {
        let sections = section.given(&ACCESS_LOG)?;
        Some(self.access_logs(sections, problems))
    }

    fn access_logs(&self, sections: &[Lowered], problems: &mut Problems) -> Arc<AccessLogs> {
        let open = |to: Destination, place: Place, problems: &mut Problems| {
            if let Destination::File(path) = &to {
                folders::check_log(path, place.clone(), problems);
            }
            let log = self.logs.access_log(&to);
            self.add(to, log, place, problems)
        };
        Arc::new(AccessLogs::build(sections, open, problems))
    }

    /// Builds the error log; its file, if it has one, is that of no access log.
    pub(super) fn error_log(
        &self,
        section: &Lowered,
        problems: &mut Problems,
    ) -> (ErrorLogSettings, Option<LineLog>) {
        let log = section.get(&LOG_KEY);
        let settings = ErrorLogSettings::build(&log, problems);
        let Some(path) = &settings.file else {
            return (settings, None);
        };
        let place = log.place_of(&TO);
        folders::check_log(path, place.clone(), problems);
        let to = Destination::File(path.clone());
        if self.lock().contains_key(&to) {
            let message = format!("{to} is the file of an access log");
            problems
                .push(Problem::new(place, message).help("give the error log a file of its own"));
            return (settings, None);
        }
        let file = self.logs.error_log(path.clone());
        let added = self.add(to, file, place, problems);
        (settings, added)
    }

    fn add(
        &self,
        to: Destination,
        log: LineLog,
        place: Place,
        problems: &mut Problems,
    ) -> Option<LineLog> {
        let mut used = self.lock();
        if used.len() >= MOST && !used.contains_key(&to) {
            let problem = Problem::new(place, format!("more than {MOST} logs"));
            problems.push(problem.help("let sites share a file: %v names the site"));
            return None;
        }
        Some(used.entry(to).or_insert(log).clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Destination, LineLog>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the logs in use.
    pub(super) fn into_logs(
        self,
        server: Arc<AccessLogs>,
        has_listener_logs: bool,
        (settings, error_log): (ErrorLogSettings, Option<LineLog>),
    ) -> SnapshotLogs {
        let used = self.used.into_inner();
        let mut named: Vec<_> = used
            .unwrap_or_else(PoisonError::into_inner)
            .into_iter()
            .map(|(to, log)| NamedLog { to, log })
            .collect();
        named.sort_by(|one, other| one.to.cmp(&other.to));
        SnapshotLogs {
            all: self.logs,
            named,
            server,
            has_listener_logs,
            settings,
            error_log,
        }
    }
}

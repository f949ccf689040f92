//! Refusals that are in the log: the same one is logged again after an interval, with the count of its
//! repetitions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Interval in which the same script is only counted.
const AGAIN: Duration = Duration::from_mins(10);

/// Limit on remembered scripts of a rule: more than a broken deployment has entry points; bounded against
/// clients that guess names.
const SCRIPTS: usize = 64;

/// Refusals for one rule of the configuration. A reload starts with an empty table, since it may have fixed the
/// cause.
#[derive(Debug)]
pub struct Refusals {
    place: Arc<str>,
    table: Mutex<Table>,
}

/// Occurrences that were only counted before a refusal that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::handler::fastcgi) struct Suppressed {
    /// Those of the same script since its last line; `None` at its first line.
    pub(in crate::handler::fastcgi) same: Option<u64>,
    /// Those of scripts without a line of their own.
    pub(in crate::handler::fastcgi) others: Option<u64>,
}

#[derive(Debug, Default)]
struct Table {
    /// By the script's file.
    logged: HashMap<Vec<u8>, LoggedRefusal>,
    others: u64,
}

#[derive(Debug)]
struct LoggedRefusal {
    at: Instant,
    repeated: u64,
}

impl Refusals {
    /// Creates an empty table for the rule at `place`, a `file:line`.
    pub fn new(place: Arc<str>) -> Self {
        Self {
            place,
            table: Mutex::default(),
        }
    }

    /// Counts the refusal of `file`. Returns the suppressed occurrences if it is due for the log.
    pub(in crate::handler::fastcgi) fn record(
        &self,
        file: &[u8],
        now: Instant,
    ) -> Option<Suppressed> {
        self.table().record(file, now)
    }

    /// Takes back a refusal that could not be logged.
    pub(in crate::handler::fastcgi) fn forget(&self, file: &[u8]) {
        let mut table = self.table();
        table.logged.remove(file);
        table.others += 1;
    }

    /// Logs the counts that no line has reported; called at the end.
    pub fn close(&self) {
        let repeated = self.table().take_unlogged();
        if repeated > 0 {
            let config = &*self.place;
            tracing::warn!(
                config,
                repeated,
                "PHP-FPM did not run scripts: further requests, beyond the logged ones"
            );
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A poisoned lock guards counts that are right at every moment.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Refusals {
    fn drop(&mut self) {
        self.close();
    }
}

impl Table {
    fn record(&mut self, file: &[u8], now: Instant) -> Option<Suppressed> {
        let is_old = |refusal: &LoggedRefusal| now.duration_since(refusal.at) >= AGAIN;
        if self.logged.len() >= SCRIPTS && !self.logged.contains_key(file) {
            let old = self.logged.extract_if(|_, refusal| is_old(refusal));
            self.others += old.map(|(_, refusal)| refusal.repeated).sum::<u64>();
        }
        let is_full = self.logged.len() >= SCRIPTS;
        let same = match self.logged.get_mut(file) {
            Some(refusal) if is_old(refusal) => Some(refusal.repeated),
            Some(refusal) => {
                refusal.repeated += 1;
                return None;
            }
            None if is_full => {
                self.others += 1;
                return None;
            }
            None => None,
        };
        let fresh = LoggedRefusal {
            at: now,
            repeated: 0,
        };
        self.logged.insert(file.to_vec(), fresh);
        let others = std::mem::take(&mut self.others);
        Some(Suppressed {
            same,
            others: (others > 0).then_some(others),
        })
    }

    /// Takes the count of occurrences that no line has reported.
    fn take_unlogged(&mut self) -> u64 {
        let repeated = self
            .logged
            .values_mut()
            .map(|refusal| std::mem::take(&mut refusal.repeated));
        repeated.sum::<u64>() + std::mem::take(&mut self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(same: Option<u64>, others: Option<u64>) -> Option<Suppressed> {
        Some(Suppressed { same, others })
    }

    #[test]
    fn the_same_script_is_told_again_after_a_while_with_its_count() {
        let (mut table, now) = (Table::default(), Instant::now());
        assert_eq!(table.record(b"/a.php", now), before(None, None));
        for second in 1..=5 {
            let later = now + Duration::from_secs(second);
            assert_eq!(table.record(b"/a.php", later), None);
        }
        assert_eq!(table.record(b"/b.php", now), before(None, None));
        assert_eq!(table.record(b"/a.php", now + AGAIN), before(Some(5), None));
        assert_eq!(table.record(b"/a.php", now + AGAIN), None);
        assert_eq!((table.take_unlogged(), table.take_unlogged()), (1, 0));
    }

    #[test]
    fn the_table_is_bounded_and_loses_no_count() {
        let (mut table, now) = (Table::default(), Instant::now());
        let record = |table: &mut Table, now, number: usize| {
            table.record(format!("/{number}.php").as_bytes(), now)
        };
        for number in 0..SCRIPTS {
            assert!(record(&mut table, now, number).is_some());
            assert!(record(&mut table, now, number).is_none());
        }
        for number in SCRIPTS..10 * SCRIPTS {
            assert_eq!(record(&mut table, now, number), None);
        }
        assert_eq!(table.logged.len(), SCRIPTS);
        let all = (SCRIPTS + 9 * SCRIPTS) as u64;
        let anew = record(&mut table, now + AGAIN, 5 * SCRIPTS);
        assert_eq!(anew, before(None, Some(all)));
        assert_eq!((table.logged.len(), table.take_unlogged()), (1, 0));
    }
}

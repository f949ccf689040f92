//! `timeouts` of a rule and of its `fastcgi`.

use std::time::Duration;

use crate::section::{Key, Lowered, Problems, Section};
use crate::upstream::section::warn_of_longer;

/// `timeouts` of a rule, whatever answers it, and of its `fastcgi`.
pub static RULE_TIMEOUTS: Section = Section {
    title: "[site.rule.timeouts]",
    doc: "Time limits of scripts in place of those of the upstream; \"0s\": no limit. Static files have none of them.",
    groups: &[&[&QUEUE, &FIRST_BYTE, &IDLE, &TOTAL]],
};

static QUEUE: Key<Option<Duration>> = Key::duration(
    "queue",
    "Time limit from the arrival of a request until a worker has it; then 503.",
)
.example("\"10s\"");

static FIRST_BYTE: Key<Option<Duration>> = Key::duration(
    "first_byte",
    "Time limit from the moment a worker has the request until its answer begins; then 504.",
)
.example("\"300s\"");

static IDLE: Key<Option<Duration>> = Key::duration(
    "idle",
    "Maximum pause between two pieces of an answer, which is then cut.",
)
.example("\"60s\"");

static TOTAL: Key<Option<Duration>> = Key::duration(
    "total",
    "Time limit from the arrival of a request to the last byte of its answer, event streams included; then 408, 504, or a cut answer, as for the key of the upstream.",
)
.example("\"300s\"");

/// Warns of times in `table`, one of [`RULE_TIMEOUTS`], that its total time leaves without effect.
pub fn warn_of_total(table: &Lowered, problems: &mut Problems) {
    let others = RULE_TIMES.map(|(name, key)| (name, table.given(key), table.place_of(key)));
    warn_of_longer(table.given(&TOTAL), others, problems);
}

/// The times that a rule may have otherwise, by their names in messages.
pub const RULE_TIMES: [(&str, &Key<Option<Duration>>); 4] = [
    ("timeouts.queue", &QUEUE),
    ("timeouts.first_byte", &FIRST_BYTE),
    ("timeouts.idle", &IDLE),
    ("timeouts.total", &TOTAL),
];

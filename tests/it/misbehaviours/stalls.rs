//! An application that stops at any point and keeps its connection open.

use super::case::{Case, PART, View};
use crate::harness::Script;
use crate::harness::records::{Record, STDOUT};

/// All stalls by each single limit, and again by the total alone.
pub(super) fn all() -> Vec<Case> {
    // How long an upload takes depends on the machine.
    let is_small = |case: &Case| case.upload <= 10;
    let total = stalls().into_iter().filter(is_small).map(in_total);
    stalls().into_iter().chain(total).collect()
}

fn in_total(case: Case) -> Case {
    let view = match case.view {
        View::Refused(status, _) => View::Refused(status, "TIMEOUT_TOTAL"),
        View::Cut(part, _) => View::Cut(part, "TIMEOUT_TOTAL"),
        whole @ View::Whole(..) => whole,
    };
    Case { view, ..case }.limits("total/")
}

fn stalls() -> Vec<Case> {
    let begun = || Script::new().read_request();
    let end = Record::end(1, 0, 0).encode();
    let part = begun().stdout(format!("\n{PART}"));
    let whole = begun().stdout(format!("Content-Length: {}\n\n{PART}", PART.len()));
    let header = Record::new(STDOUT, 1, "X-Stolen: 1\n\nstolen").encode();
    let cut = |name, script: Script| {
        let view = View::Cut(PART.into(), "TIMEOUT_IDLE");
        Case::new(name, script, view).limits("idle/")
    };
    vec![
        first_byte("with PARAMS", Script::new().stall()),
        first_byte("with a small upload unread", Script::new().stall()).upload(10),
        first_byte("within an upload", Script::new().read_some(1 << 20).stall()).upload(8 << 20),
        first_byte("with the request", begun().stall()),
        first_byte("with an upload", begun().stall()).upload(1 << 20),
        first_byte("within a header", begun().raw(&header[..5]).stall()),
        first_byte("behind a header", begun().raw(&header[..8]).stall()),
        idle("behind STDERR", begun().stderr("waiting\n").stall()),
        idle("within a record", begun().raw(&header[..9]).stall()),
        idle("within the head", begun().stdout("X-Stolen: 1\n").stall()),
        cut("behind a part", part.clone().stall()),
        cut("within END_REQUEST", part.raw(&end[..12]).stall()),
        Case::whole("behind all that was announced", whole.clone().stall(), PART).limits("idle/"),
        Case::whole(
            "all, within END_REQUEST",
            whole.raw(&end[..12]).stall(),
            PART,
        )
        .limits("idle/"),
    ]
}

fn first_byte(name: &'static str, script: Script) -> Case {
    let view = View::Refused(504, "TIMEOUT_FIRST_BYTE");
    Case::new(name, script, view).limits("first/")
}

fn idle(name: &'static str, script: Script) -> Case {
    Case::new(name, script, View::Refused(504, "TIMEOUT_IDLE")).limits("idle/")
}

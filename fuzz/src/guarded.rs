//! The head guard at work on bytes that arrive in pieces.

use fcgate::message::head_guard::{Bounds, HeadGuard, Refusal, Verdict};

/// Small enough for the fuzzer to reach.
pub const BOUNDS: Bounds = Bounds {
    request_line: 8 * 1024,
    field_line: 16 * 1024,
    head: 2048,
    fields: 16,
};

/// What a guard made of bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// What passed, message by message.
    pub messages: Vec<Message>,
    /// Whether content is to come for the last message.
    pub in_content: bool,
    /// Why nothing else will pass.
    pub refusal: Option<Refusal>,
}

/// A request as it passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// With the empty line at its end.
    pub head: Vec<u8>,
    /// As it was framed.
    pub content: Vec<u8>,
}

impl Guarded {
    /// All bytes that passed.
    pub fn passed(&self) -> Vec<u8> {
        let parts = |message: &Message| [&message.head[..], &message.content].concat();
        self.messages.iter().flat_map(parts).collect()
    }
}

/// Feeds a new guard the pieces in their order.
pub fn guard(pieces: &[&[u8]]) -> Guarded {
    let mut guard = HeadGuard::new(BOUNDS);
    let mut guarded = Guarded::default();
    let mut held = Vec::new();
    for piece in pieces {
        held.extend_from_slice(piece);
        while guarded.refusal.is_none() {
            let heads = guard.heads();
            match guard.judge(&mut held) {
                Verdict::More => break,
                Verdict::Refuse(refusal) => guarded.refusal = Some(refusal),
                Verdict::Pass(count) => {
                    assert!(count > 0, "nothing passed");
                    let passed: Vec<u8> = held.drain(..count).collect();
                    guarded.add(passed, guard.heads() > heads);
                }
            }
        }
    }
    guarded.in_content = guard.is_in_content();
    assert_eq!(guarded.messages.len(), guard.heads());
    guarded
}

impl Guarded {
    fn add(&mut self, passed: Vec<u8>, is_head: bool) {
        if is_head {
            self.messages.push(Message {
                head: passed,
                content: Vec::new(),
            });
            return;
        }
        let message = self.messages.last_mut().expect("content before any head");
        message.content.extend(passed);
    }
}

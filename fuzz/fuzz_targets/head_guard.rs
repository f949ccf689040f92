//! The head guard: its verdict does not depend on how the bytes arrive, and what passes is what came.
#![no_main]

use fcgate_fuzz::{Guarded, arrivals, guard};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [whole, others @ ..] = arrivals(bytes);
    let guarded = guard(&whole);
    for other in others {
        assert_eq!(guard(&other), guarded);
    }
    passes_what_came(bytes, &guarded);
});

/// RFC 9110 §2.5: but for a minor version that nobody knows.
fn passes_what_came(bytes: &[u8], guarded: &Guarded) {
    let passed = guarded.passed();
    assert!(passed.len() <= bytes.len());
    for (passed, came) in passed.iter().zip(bytes) {
        assert!(passed == came || (*passed == b'1' && (b'2'..=b'9').contains(came)));
    }
    for message in &guarded.messages {
        assert!(message.head.ends_with(b"\r\n\r\n"));
        // RFC 9112 §2.2, §5: nothing that another reader could take for the end of a line, or of the text.
        let lines = message.head.strip_suffix(b"\r\n").unwrap_or_default();
        for line in lines.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\0')));
        }
    }
    let is_all = passed.len() == bytes.len();
    assert!(guarded.refusal.is_none() || !is_all);
}

//! Files of users: each user has the entry of the first line that names it, and other lines change nothing of it.
#![no_main]

use std::collections::HashMap;
use std::path::Path;

use fcgate::auth::users::{Finding, Hash, Users};
use libfuzzer_sys::fuzz_target;

/// A usable entry.
const LAST: &[u8] = b"\nlast:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";

/// No line is longer than a line may be.
const LONGEST: usize = 4096;

fuzz_target!(|content: &[u8]| {
    if content.len() > LONGEST {
        return;
    }
    let parse = |content: &[u8]| Users::parse(content, Path::new("users"));
    let extended = [content, LAST].concat();
    let users = parse(&extended).expect("it has a usable entry");
    let lines = extended.split(|byte| *byte == b'\n').count();
    let numbers = users.findings().first().iter().map(|finding| finding.line);
    assert!(numbers.clone().is_sorted_by(|a, b| a < b));
    assert!(numbers.clone().all(|line| (1..=lines).contains(&line)));
    let expected = entries(&extended);
    has(&users, &expected);

    // As an editor of Windows writes it.
    let text = extended.split(|byte| *byte == b'\n').collect::<Vec<_>>();
    let windows = parse(&text.join(b"\r\n".as_slice())).expect("it has a usable entry");
    has(&windows, &expected);
    assert_eq!(windows.findings().first(), users.findings().first());

    // Without the last line it has the same findings, or no usable entry.
    let usable = entries(content).values().any(|text| text.is_some());
    match parse(content) {
        Ok(users) => {
            assert!(usable);
            let before = |finding: &&Finding| finding.line < lines;
            assert!(
                windows
                    .findings()
                    .first()
                    .iter()
                    .filter(before)
                    .eq(users.findings().first())
            );
        }
        Err(error) => assert!(!usable, "{error}"),
    }
});

/// The text of the first entry of each user, if it can be used.
fn entries(content: &[u8]) -> HashMap<&[u8], Option<&[u8]>> {
    let content = content
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(content);
    let mut entries = HashMap::new();
    for line in content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        let mut fields = line.split(|byte| *byte == b':');
        let (Some(user), Some(text)) = (fields.next(), fields.next()) else {
            continue;
        };
        if !user.is_empty() && !user.starts_with(b"#") {
            let usable = str::from_utf8(text).is_ok_and(|text| Hash::parse(text).is_ok());
            entries.entry(user).or_insert(usable.then_some(text));
        }
    }
    entries
}

fn has(users: &Users, expected: &HashMap<&[u8], Option<&[u8]>>) {
    for (user, text) in expected {
        assert_eq!(users.entry(user).map(|entry| entry.text()), *text);
        assert!(!users.verify(user, &[b'x'; 4097]), "too long a password");
    }
    assert!(users.entry(b"").is_none());
}

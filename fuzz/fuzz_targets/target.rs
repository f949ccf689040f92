//! Targets: a path that is accepted is in its normal form, and stays itself when it is parsed again.
#![no_main]

use fcgate::message::{EncodedSlash, Target, TargetError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let modes = [
        EncodedSlash::Reject,
        EncodedSlash::Keep,
        EncodedSlash::Decode,
    ];
    let [rejected, kept, decoded] = modes.map(|slashes| Target::parse(text, slashes));
    // The modes differ in encoded slashes only.
    if rejected != Err(TargetError::EncodedSlash) && !has_encoded_slash(text) {
        assert!(rejected == kept && kept == decoded);
    }
    for target in [rejected, kept, decoded].into_iter().flatten() {
        is_normal(&target);
        is_itself_again(&target);
        is_what_was_sent(text, &target);
    }
});

fn has_encoded_slash(text: &str) -> bool {
    text.to_ascii_lowercase().contains("%2f")
}

fn is_normal(target: &Target) {
    let path = target.path();
    let rest = path.strip_prefix(b"/").expect("a slash in front");
    let segments: Vec<_> = rest.split(|byte| *byte == b'/').collect();
    let (last, folders) = segments.split_last().expect("a segment");
    assert!(folders.iter().all(|name| !name.is_empty()));
    for name in folders.iter().chain([last]) {
        assert!(!matches!(*name, b"." | b".."));
    }
    assert!(!path.iter().any(u8::is_ascii_control));
    assert_eq!(target.is_directory(), last.is_empty());
    if let Some(extension) = target.extension() {
        assert!(last.ends_with(extension) && !extension.contains(&b'.'));
    }
}

fn is_itself_again(target: &Target) {
    let path = target.path();
    let again = target.with_path(path.to_vec());
    assert_eq!(again.as_ref(), Ok(target));
    let encoded = Target::encode_path(path);
    assert!(encoded.is_ascii() && !encoded.starts_with("//"));
    let parsed = Target::parse(&encoded, EncodedSlash::Reject);
    assert_eq!(parsed.as_ref().map(Target::path), Ok(path));
    assert_eq!(parsed.map(|parsed| parsed.query().is_none()), Ok(true));
}

fn is_what_was_sent(text: &str, target: &Target) {
    let raw = target.raw();
    assert!(raw == text || raw.strip_prefix('/') == Some(text));
    assert_eq!(target.query(), text.split_once('?').map(|(_, query)| query));
    assert!(raw.starts_with('/') && raw.starts_with(target.raw_path()));
}

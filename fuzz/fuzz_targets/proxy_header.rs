//! The PROXY header: however it is split, it is read alike; and it never takes more than it may.
#![no_main]

use fcgate::message::ProxyHeader;
use libfuzzer_sys::fuzz_target;

/// The longest header that is read.
const LONGEST: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some((_, length))) = ProxyHeader::read(bytes) else {
        return;
    };
    assert!(length > 0 && length <= bytes.len() && length <= LONGEST);
    // What stands before its end is not yet a header, and what follows it does not matter.
    for end in 0..length {
        assert!(
            matches!(ProxyHeader::read(&bytes[..end]), Ok(None)),
            "at {end}"
        );
    }
    let whole = ProxyHeader::read(&bytes[..length]);
    assert!(matches!(whole, Ok(Some((_, again))) if again == length));
});

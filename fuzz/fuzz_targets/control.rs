//! Messages between parent and server, on both sides: whatever a broken process sends, it is decoded or refused, and a message
//! comes back as it was sent.
#![no_main]

use fcgate::control::file_access::{FileAnswer, FileRequest};
use fcgate::control::{Grant, ToParent, ToServer, packet};
use libfuzzer_sys::fuzz_target;

macro_rules! check {
    ($($message:ty),*; $bytes:expr) => {$(
        if let Ok(message) = packet::decode::<$message>($bytes) {
            let encoded = packet::encode(&message).expect("it has been decoded");
            assert_eq!(packet::decode::<$message>(&encoded).expect("it has been encoded"), message);
        }
    )*};
}

fuzz_target!(|bytes: &[u8]| {
    check!(ToParent, ToServer, FileRequest, FileAnswer, Grant; bytes);
});

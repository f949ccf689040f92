//! Bundles of files: what is decoded is encoded as the same, and a configuration is loaded from it without a panic.
#![no_main]

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use fcgate::config;
use fcgate::files::{Bundle, Files, Opener};
use libfuzzer_sys::fuzz_target;

/// A parent that opens nothing.
#[derive(Debug)]
struct Refusing;

impl Opener for Refusing {
    fn open(&self, _: &Path) -> io::Result<File> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn open_log(&self, path: &Path) -> io::Result<File> {
        self.open(path)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = Bundle::decode(bytes) else {
        return;
    };
    let encoded = bundle.encode().expect("it has been decoded");
    let again = Bundle::decode(&encoded).expect("it has been encoded");
    assert_eq!(again, bundle);

    let files = Files::of_bundle(bundle, Arc::new(Refusing));
    match config::load(Path::new("fcgate.toml"), None, &files) {
        Ok(snapshot) => assert!(snapshot.warnings.is_empty() && files.lacking().is_none()),
        Err(invalid) => assert!(!invalid.to_string().is_empty(), "refused without a reason"),
    }
});

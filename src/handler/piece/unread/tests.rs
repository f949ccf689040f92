//! Parts in frames of any size are the file's bytes, hold nothing in between, and report failures.

use std::io::{Seek, SeekFrom, Write};

use bytes::BufMut;
use proptest::prelude::*;

use super::*;

const SIZE: usize = 100_000;

fn content() -> Vec<u8> {
    (0..SIZE)
        .map(|at| u8::try_from(at * 7 % 251).unwrap())
        .collect()
}

fn file() -> (std::fs::File, Arc<OpenFile>) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content()).unwrap();
    let open = OpenFile {
        descriptor: file.try_clone().unwrap().into(),
        length: SIZE as u64,
        modified: file.metadata().unwrap().modified().unwrap(),
        cache: None,
    };
    (file, Arc::new(open))
}

fn poll(progress: &Progress) -> Poll<Result<(), Unreadable>> {
    progress.poll_taken(&mut Context::from_waker(Waker::noop()))
}

/// Takes a frame as h2 does: copies its first bytes, and calls `chunk` for the rest, perhaps twice, before `advance`.
fn frame(part: &mut Unread, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put(bytes::Buf::take(&mut *part, length.min(247)));
    while bytes.len() < length {
        let looked = part.chunk().len();
        assert_eq!(part.chunk().len(), looked);
        let count = looked.min(length - bytes.len());
        bytes.extend_from_slice(&part.chunk()[..count]);
        part.advance(count);
    }
    bytes
}

#[test]
fn a_part_between_two_frames_holds_nothing() {
    let (_file, open) = file();
    let progress = Arc::default();
    for taken in [1, 100, 247, 248, 5000, AT_ONCE, AT_ONCE + 1] {
        let mut part = Unread::new(Arc::clone(&open), 0..SIZE as u64, &progress);
        assert!(part.here.get().is_none());
        assert_eq!(frame(&mut part, taken), content()[..taken]);
        assert!(part.here.get().is_none(), "{taken}");
        assert_eq!(part.remaining(), SIZE - taken);
        assert!(poll(&progress).is_pending());
    }
}

#[test]
fn the_rest_of_a_block_is_never_given_to_another_file() {
    let (_one, first) = file();
    let (mut two, second) = file();
    two.seek(SeekFrom::Start(0)).unwrap();
    two.write_all(&[b'x'; SIZE]).unwrap();
    let modified = two.metadata().unwrap().modified().unwrap();
    let mut second = Arc::into_inner(second).unwrap();
    second.modified = modified;
    let second = Arc::new(second);
    let progress = Arc::default();
    let mut one = Unread::new(first, 0..SIZE as u64, &progress);
    let mut other = Unread::new(second, 0..SIZE as u64, &progress);
    for at in 0..50 {
        assert_eq!(frame(&mut one, 300), content()[at * 300..][..300]);
        assert_eq!(frame(&mut other, 300), [b'x'; 300]);
    }
}

#[test]
fn a_failed_read_fills_its_frame_and_is_reported() {
    let shorten = |file: &std::fs::File| file.set_len(30_000).unwrap();
    let overwrite = |file: &std::fs::File| {
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    let changes: [&dyn Fn(&std::fs::File); 2] = [&shorten, &overwrite];
    for change in changes {
        let (file, open) = file();
        let progress = Arc::default();
        let mut part = Unread::new(open, 0..SIZE as u64, &progress);
        assert_eq!(frame(&mut part, AT_ONCE), content()[..AT_ONCE]);
        change(&file);
        let filled = frame(&mut part, AT_ONCE);
        assert_eq!(filled, [0; AT_ONCE]);
        assert!(is_filler(part.chunk()));
        assert_eq!(poll(&progress), Poll::Ready(Err(Unreadable)));
        // Taken to its end it has still failed.
        part.advance(part.remaining());
        assert_eq!(poll(&progress), Poll::Ready(Err(Unreadable)));
    }
}

proptest! {
    #[test]
    fn frames_of_any_size_are_the_files_bytes(
        start in 0..SIZE / 2,
        lengths in prop::collection::vec(1_usize..40_000, 1..20),
    ) {
        let (_file, open) = file();
        let progress = Arc::default();
        let mut part = Unread::new(open, start as u64..SIZE as u64, &progress);
        let mut sent = Vec::new();
        for length in lengths {
            let length = length.min(part.remaining());
            sent.extend(frame(&mut part, length));
        }
        prop_assert!(sent == content()[start..start + sent.len()]);
        let rest = part.remaining();
        sent.extend(frame(&mut part, rest));
        prop_assert!(sent == content()[start..]);
        prop_assert_eq!(poll(&progress), Poll::Ready(Ok(())));
    }
}

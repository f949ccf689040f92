//! Content of a range: the slice of the file.

use std::io::Write;
use std::time::SystemTime;

use bytes::BufMut;
use proptest::prelude::*;

use super::*;
use crate::message::range::{Ranges, ranges};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

/// Opens a file that has `content` on the disk.
fn open(content: &[u8]) -> Arc<OpenFile> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    Arc::new(OpenFile {
        descriptor: file.into(),
        length: content.len() as u64,
        modified,
        cache: None,
    })
}

/// Polls to the end; blocking reads run on a thread.
fn next<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(std::future::poll_fn(poll))
}

fn all(mut next: impl FnMut() -> Option<Result<Piece, Cut>>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = next() {
        all.put(piece.unwrap());
    }
    all
}

fn slice(content: &[u8], first: u64, last: u64) -> &[u8] {
    let (first, last) = (usize::try_from(first), usize::try_from(last));
    &content[first.unwrap()..=last.unwrap()]
}

/// Splits a content into its parts (RFC 2046 §5.1.1): Content-Range and bytes.
fn parts<'a>(mut content: &'a [u8], boundary: &str) -> Vec<(String, &'a [u8])> {
    let mut found = Vec::new();
    let delimiter = format!("\r\n--{boundary}\r\n");
    while let Some(rest) = content.strip_prefix(delimiter.as_bytes()) {
        let at = rest
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = std::str::from_utf8(&rest[..at]).unwrap();
        let range = head.split("Content-Range: ").nth(1).unwrap().to_owned();
        let rest = &rest[at + 4..];
        let next = format!("\r\n--{boundary}");
        let end = rest
            .windows(next.len())
            .position(|text| text == next.as_bytes());
        let (own, after) = rest.split_at(end.unwrap());
        found.push((range, own));
        content = after;
    }
    assert_eq!(content, format!("\r\n--{boundary}--\r\n").as_bytes());
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_range_is_the_slice(
        length in prop_oneof![1_usize..300, 130_000_usize..400_000],
        asked in proptest::collection::vec((any::<u32>(), any::<u32>()), 1..6),
    ) {
        let content: Vec<u8> = (0..=250).cycle().take(length).collect();
        let whole = length as u64;
        let specs: Vec<_> = asked.iter().map(|(first, more)| {
            let first = u64::from(*first) % whole;
            format!("{first}-{}", first + u64::from(*more) % whole)
        }).collect();
        let field = HeaderValue::from_str(&format!("bytes={}", specs.join(","))).unwrap();
        match ranges(Some(&field), whole) {
            Ranges::Single { first, last } => {
                let mut sent = FileContent::new(open(&content), first..last + 1);
                prop_assert!(all(|| next(|cx| sent.poll_piece(cx))) == slice(&content, first, last));
            }
            Ranges::Several(list) => {
                let boundary = Boundary::random();
                let mut sent = Multipart::new(open(&content), &list, TEXT, &boundary);
                let announced = sent.left();
                let sent = all(|| next(|cx| sent.poll_piece(cx)));
                prop_assert_eq!(sent.len() as u64, announced);
                let found = parts(&sent, &boundary.0);
                prop_assert_eq!(found.len(), list.len());
                for ((range, own), (first, last)) in found.into_iter().zip(list) {
                    prop_assert_eq!(range, format!("bytes {first}-{last}/{whole}"));
                    prop_assert!(own == slice(&content, first, last));
                }
            }
            Ranges::Whole | Ranges::Unsatisfiable => {}
        }
    }
}

#[test]
fn a_file_that_shrinks_ends_all_its_parts() {
    let mut file = open(&[b'a'; 1000]);
    let writer = std::fs::File::from(file.descriptor.try_clone().unwrap());
    Arc::get_mut(&mut file).unwrap().modified = SystemTime::UNIX_EPOCH;
    writer.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let mut sent = Multipart::new(file, &[(0, 9), (500, 509)], TEXT, &Boundary::random());
    for _ in 0..3 {
        assert!(next(|cx| sent.poll_piece(cx)).is_some_and(|piece| piece.is_ok()));
    }
    writer.set_len(100).unwrap();
    assert!(next(|cx| sent.poll_piece(cx)).is_some_and(|piece| piece.is_err()));
    assert!(next(|cx| sent.poll_piece(cx)).is_none());
    assert_eq!(sent.left(), 0);
}

//! Coded streams decode to their content, are flushed in time, and report breaks.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliDecoder, DecodeV2, GzipDecoder, ZstdDecoder};
use futures_util::FutureExt;
use proptest::prelude::{any, prop, proptest};
use proptest::prop_assert;

use super::PendingEntry;
use super::{
    BudgetedEncoder, Coded, CodedCache, Effort, Encoder, Encoders, Key, Source, code_whole,
};
use crate::handler::share::Share;
use crate::handler::{Body, Cut};
use crate::limits::budget::{Budget, Owner, Party, SiteKey};
use crate::message::accept_encoding::Coding;

const EFFORTS: [Effort; 3] = [Effort::Fast, Effort::Balanced, Effort::Dense];

/// Decodes the bytes so far, and reports whether they have the end of the stream.
fn decode(coding: Coding, coded: &[u8]) -> (Vec<u8>, bool) {
    let mut decoder: Box<dyn DecodeV2> = match coding {
        Coding::Brotli => Box::new(BrotliDecoder::new()),
        Coding::Zstd => Box::new(ZstdDecoder::new()),
        Coding::Gzip => Box::new(GzipDecoder::new()),
    };
    let mut input = PartialBuffer::new(coded);
    let mut plain = Vec::new();
    loop {
        let mut scratch = [0; 4096];
        let mut output = WriteBuffer::new_initialized(&mut scratch);
        let ended = decoder.decode(&mut input, &mut output).unwrap();
        plain.extend_from_slice(output.written());
        let more = !input.unwritten().is_empty() || output.has_no_spare_space();
        if ended || !more {
            return (plain, ended);
        }
    }
}

/// Takes all of a body of `Bytes`; streams are tested with the program.
fn drain(coded: &mut Coded<Body>) -> (Vec<u8>, Option<Cut>) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut bytes = Vec::new();
    loop {
        match coded.poll_piece(&mut cx) {
            Poll::Ready(Some(Ok(mut piece))) => {
                bytes.extend(piece.copy_to_bytes(piece.remaining()))
            }
            Poll::Ready(Some(Err(cut))) => return (bytes, Some(cut)),
            Poll::Ready(None) => return (bytes, None),
            // It yields to other tasks and is polled again.
            Poll::Pending => {}
        }
    }
}

fn share(budget: &Arc<Budget>) -> Share<'_> {
    Share {
        budget,
        owner: Owner {
            party: Party::Connection(1),
            site: SiteKey::default(),
        },
    }
}

fn budget() -> Arc<Budget> {
    Arc::new(Budget::new(64 << 20))
}

async fn holding(coding: Coding, effort: Effort, budget: &Arc<Budget>) -> Option<BudgetedEncoder> {
    let encoders = Encoders::default();
    encoders.obtain(coding, effort, &share(budget)).await
}

fn coded(body: Body, coding: Coding, effort: Effort, keep: Option<PendingEntry>) -> Coded<Body> {
    let encoders = Encoders::default();
    let budget = budget();
    let share = share(&budget);
    let obtained = encoders.obtain(coding, effort, &share);
    let holding = obtained.now_or_never().flatten().unwrap();
    Coded::new(body, &encoders, holding, keep)
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect()
}

#[test]
fn every_flush_brings_out_all_that_was_pushed() {
    let pieces: VecDeque<Vec<u8>> = [
        b"data: 1\n".to_vec(),
        noise(100_000),
        vec![b'a'; 300_000],
        b"x".to_vec(),
        noise(8192),
        b"the end".to_vec(),
    ]
    .into();
    for coding in Coding::ALL {
        for effort in EFFORTS {
            let mut encoder = Encoder::new(coding, effort);
            let (mut sent, mut plain) = (Vec::new(), Vec::new());
            for piece in &pieces {
                encoder.push(piece).unwrap();
                encoder.flush().unwrap();
                // An empty flush adds no output.
                encoder.flush().unwrap();
                sent.extend(encoder.take());
                plain.extend(piece);
                assert!(
                    decode(coding, &sent) == (plain.clone(), false),
                    "{coding:?} {effort:?}"
                );
            }
            encoder.finish().unwrap();
            sent.extend(encoder.take());
            assert!(
                decode(coding, &sent) == (plain, true),
                "{coding:?} {effort:?}"
            );
        }
    }
}

/// Covers all points: before there is an engine, and after the start was sent apart.
#[test]
fn a_stream_goes_on_without_its_engine() {
    let pieces = [
        b"a page of text ".repeat(3000),
        noise(150_000),
        b"the end".to_vec(),
    ];
    for (coding, effort) in Coding::ALL
        .into_iter()
        .flat_map(|coding| EFFORTS.map(|effort| (coding, effort)))
    {
        for stored_before in 0..=pieces.len() {
            for late in [false, true] {
                let mut encoder = Encoder::new(coding, effort);
                let mut sent = Vec::new();
                if late {
                    sent.extend(encoder.start());
                }
                for (at, piece) in pieces.iter().enumerate() {
                    if at == stored_before {
                        encoder.store().unwrap();
                        assert!(!encoder.has_engine());
                    }
                    encoder.push(piece).unwrap();
                    if at % 2 == 1 {
                        encoder.flush().unwrap();
                    }
                    sent.extend(encoder.take());
                }
                encoder.finish().unwrap();
                sent.extend(encoder.take());
                assert!(
                    decode(coding, &sent) == (pieces.concat(), true),
                    "{coding:?} {effort:?} stored before {stored_before}, late: {late}"
                );
            }
        }
    }
}

#[test]
fn a_long_body_is_coded_in_pieces_and_kept_when_it_is_whole() {
    let plain = [vec![b'a'; 1 << 20], noise(200_000)].concat();
    for coding in Coding::ALL {
        let cache = Arc::new(CodedCache::new(32 << 20));
        let effort = Effort::Balanced;
        let source = Source::Bytes(Bytes::from_static(b"its name"));
        let key = Key {
            source,
            coding,
            effort,
        };
        let body = Body::bytes(plain.clone());
        let keep = cache.begin_entry(key.clone());
        let mut coded = coded(body, coding, effort, keep);
        assert!(!coded.is_finished());
        let (bytes, cut) = drain(&mut coded);
        assert!(cut.is_none() && coded.is_finished());
        assert!(
            decode(coding, &bytes) == (plain.clone(), true),
            "{coding:?}"
        );
        assert!(
            cache.get(&key).is_some_and(|kept| kept == bytes),
            "{coding:?}"
        );
    }
}

#[test]
fn contents_that_are_too_large_or_incomplete_are_not_cached() {
    let cache = Arc::new(CodedCache::new(64 << 20));
    let (coding, effort) = (Coding::Gzip, Effort::Fast);
    let plain = Bytes::from(noise(2 << 20));
    let key = Key {
        source: Source::Bytes(plain.clone()),
        coding,
        effort,
    };
    let keep = cache.begin_entry(key.clone());
    drain(&mut coded(Body::bytes(plain), coding, effort, keep));
    assert_eq!(cache.get(&key), None);
    let keep = cache.begin_entry(key.clone());
    drop(coded(Body::bytes("abc"), coding, effort, keep));
    assert_eq!(cache.get(&key), None);
    assert!(Arc::new(CodedCache::new(0)).begin_entry(key).is_none());
}

#[test]
fn the_cache_is_bounded_by_bytes() {
    let cache = CodedCache::new(1 << 20);
    let key = |number: u32| Key {
        source: Source::Bytes(Bytes::from(number.to_le_bytes().to_vec())),
        coding: Coding::Gzip,
        effort: Effort::Fast,
    };
    for number in 0..1000 {
        cache.put(key(number), Bytes::from(vec![0; 10_000]));
    }
    let kept = (0..1000).filter(|number| cache.get(&key(*number)).is_some());
    assert!((1..=104).contains(&kept.count()));
}

#[test]
fn gzip_is_read_by_another_reader_too() {
    let plain = noise(70_000);
    let (coding, effort) = (Coding::Gzip, Effort::Balanced);
    let holding = holding(coding, effort, &budget()).now_or_never().flatten();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (coded, part) = runtime
        .block_on(code_whole(holding.unwrap(), &plain))
        .unwrap();
    assert_eq!(part.used(), coded.len() as u64);
    let mut read = Vec::new();
    flate2::read::GzDecoder::new(coded.as_ref())
        .read_to_end(&mut read)
        .unwrap();
    assert!(read == plain);
}

proptest! {
    #[test]
    fn decoding_restores_the_content(
        pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..3000), any::<bool>()), 0..8),
        which in 0_usize..9,
    ) {
        let (coding, effort) = (Coding::ALL[which / 3], EFFORTS[which % 3]);
        let mut encoder = Encoder::new(coding, effort);
        for (piece, flush) in &pieces {
            encoder.push(piece).unwrap();
            if *flush {
                encoder.flush().unwrap();
            }
        }
        encoder.finish().unwrap();
        let plain: Vec<u8> = pieces.into_iter().flat_map(|(piece, _)| piece).collect();
        prop_assert!(decode(coding, &encoder.take()) == (plain, true));
    }
}

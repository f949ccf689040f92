//! Records of an application: what they say does not depend on how they arrive, is no more than what arrived, and
//! nothing is held back but what one event needs. Behind its END_REQUEST a request says nothing any more.
#![no_main]

use bytes::BytesMut;
use fcgate::fastcgi::decoder::{Decoder, Event};
use fcgate::fastcgi::record::ProtocolError;
use fcgate_fuzz::arrivals;
use libfuzzer_sys::fuzz_target;

/// The content of the longest GET_VALUES_RESULT that is taken.
const MOST_HELD: usize = 4096;

#[derive(Debug, Default, PartialEq, Eq)]
struct Decoded {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// All other events, with the lengths of the streams before each.
    others: Vec<(usize, usize, Event)>,
    error: Option<ProtocolError>,
    late: u64,
    has_ended: bool,
    is_between_records: bool,
}

fuzz_target!(|bytes: &[u8]| {
    let [whole, others @ ..] = arrivals(bytes);
    let decoded = decode(&whole);
    for other in others {
        assert_eq!(decode(&other), decoded);
    }
    let values = decoded.others.iter().map(|(_, _, event)| match event {
        Event::Values(values) => values.len(),
        Event::Stdout(_) | Event::Stderr(_) | Event::End { .. } => 8,
    });
    let late =
        usize::try_from(decoded.late).expect("no more than arrived, and a header for each record");
    assert!(late <= bytes.len() + usize::from(u16::MAX));
    let streams = decoded.stdout.len() + decoded.stderr.len();
    assert!(streams + values.sum::<usize>() <= bytes.len());
});

fn decode(pieces: &[&[u8]]) -> Decoded {
    let mut decoder = Decoder::default();
    let mut input = BytesMut::new();
    let mut decoded = Decoded::default();
    for piece in pieces {
        input.extend_from_slice(piece);
        while decoded.error.is_none() {
            match decoder.next(&mut input) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    let is_late = decoded.has_ended && !matches!(event, Event::Values(_));
                    assert!(!is_late, "{event:?} behind END_REQUEST");
                    if matches!(event, Event::End { .. }) {
                        decoder.end();
                        decoded.has_ended = true;
                    }
                    decoded.add(event);
                }
                Err(error) => decoded.error = Some(error),
            }
        }
        assert!(decoded.error.is_some() || input.len() < MOST_HELD);
    }
    // After an error the decoder is of no use, and where it stands is nobody's business.
    decoded.late = decoder.late_bytes();
    decoded.is_between_records = decoded.error.is_none() && decoder.is_between_records();
    decoded
}

impl Decoded {
    fn add(&mut self, event: Event) {
        let stream = match &event {
            Event::Stdout(part) => Some((&mut self.stdout, part)),
            Event::Stderr(part) => Some((&mut self.stderr, part)),
            Event::End { .. } | Event::Values(_) => None,
        };
        if let Some((stream, part)) = stream {
            assert!(!part.is_empty());
            stream.extend_from_slice(part);
            return;
        }
        let place = (self.stdout.len(), self.stderr.len());
        self.others.push((place.0, place.1, event));
    }
}

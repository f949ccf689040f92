//! Name-value pairs: what is read can be written and read again, also through records, and never takes more room.
#![no_main]

use fcgate::fastcgi::params::{Pair, ParamsEncoder, decode_pairs, encode_pair};
use fcgate::fastcgi::record::{HEADER_LEN, Header, REQUEST_ID, RecordType};
use libfuzzer_sys::fuzz_target;

/// Makes the content longer than one record.
const TIMES: usize = 40;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pairs) = decode_pairs(bytes) {
        let mut encoded = Vec::new();
        for (name, value) in &pairs {
            encode_pair(&mut encoded, name, value);
        }
        assert!(encoded.len() <= bytes.len());
        assert_eq!(decode_pairs(&encoded).as_ref(), Ok(&pairs));
        assert_eq!(receive(&send(&pairs)), pairs);
        let many: Vec<_> = std::iter::repeat_n(pairs, TIMES).flatten().collect();
        assert_eq!(receive(&send(&many)), many);
    }
    fields(bytes);
});

fn send(pairs: &[Pair]) -> Vec<u8> {
    let mut wire = b"before".to_vec();
    let mut params = ParamsEncoder::new(&mut wire);
    for (name, value) in pairs {
        let (start, end) = value.split_at(value.len() / 2);
        params.pair_parts(name, &[start, end]);
    }
    params.finish();
    wire
}

/// What the application makes of it.
fn receive(wire: &[u8]) -> Vec<Pair> {
    let mut rest = wire.strip_prefix(b"before").expect("what was there before");
    let mut content = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<HEADER_LEN>() {
        let header = Header::decode(*header).expect("a header");
        let kind = RecordType::from_code(header.kind);
        assert_eq!(
            (kind, header.request_id),
            (Some(RecordType::Params), REQUEST_ID)
        );
        // An empty record would end the stream.
        assert!(header.content_length > 0);
        let (part, padded) = after.split_at(header.content_length.into());
        content.extend_from_slice(part);
        rest = padded.split_at(header.padding_length.into()).1;
    }
    assert!(rest.is_empty());
    decode_pairs(&content).expect("pairs")
}

/// Each line is a field, `Name: value`.
fn fields(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let fields: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    let mut wire = b"before".to_vec();
    let mut params = ParamsEncoder::new(&mut wire);
    for (name, value) in &fields {
        params.http_field(name, value.as_bytes());
    }
    params.finish();
    let received = receive(&wire);
    assert_eq!(received.len(), fields.len());
    for ((name, value), (field, text)) in received.iter().zip(&fields) {
        let expected = format!("HTTP_{}", field.replace('-', "_").to_ascii_uppercase());
        assert_eq!(
            (&name[..], &value[..]),
            (expected.as_bytes(), text.as_bytes())
        );
    }
}

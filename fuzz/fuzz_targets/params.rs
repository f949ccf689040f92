//! Name-value pairs: what is read can be written and read again, also through records, and never takes more room. PHP,
//! which parses each record by itself, reads all pairs that a record has room for.
#![no_main]

use fcgate::fastcgi::params::{
    Pair, ParamsEncoder, decode_pairs, encode_pair, pair_beyond_record, pair_length,
};
use fcgate::fastcgi::record::{HEADER_LEN, Header, Id, MAX_CONTENT, RecordType};
use libfuzzer_sys::fuzz_target;

/// Makes the content longer than one record, and a value.
const TIMES: usize = 40;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pairs) = decode_pairs(bytes) {
        let encoded = encode(&pairs);
        assert!(encoded.len() <= bytes.len());
        assert_eq!(decode_pairs(&encoded).as_ref(), Ok(&pairs));
        is_received(&pairs);
        is_received(
            &std::iter::repeat_n(&pairs[..], TIMES)
                .collect::<Vec<_>>()
                .concat(),
        );
        let larger = |(name, value): &Pair| (name.clone(), value.repeat(TIMES));
        is_received(&pairs.iter().map(larger).collect::<Vec<_>>());
    }
    fields(bytes);
});

fn encode(pairs: &[Pair]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for (name, value) in pairs {
        let before = encoded.len();
        encode_pair(&mut encoded, name, value);
        assert_eq!(encoded.len() - before, pair_length(name.len(), value.len()));
    }
    encoded
}

/// FastCGI §3.3 joins the records; PHP does not, and there each has whole pairs, unless one of them is too long for any.
fn is_received(pairs: &[Pair]) {
    let wire = send(pairs);
    let records = records(&wire);
    assert_eq!(decode_pairs(&records.concat()).as_deref(), Ok(pairs));
    let by_itself = |record: &&[u8]| decode_pairs(record).ok();
    let received: Option<Vec<_>> = records.iter().map(by_itself).collect();
    let length = |(name, value): &&Pair| pair_length(name.len(), value.len());
    let beyond = pairs.iter().find(|pair| length(pair) > MAX_CONTENT);
    let encoded = encode(pairs);
    let found = pair_beyond_record(&encoded);
    assert_eq!(found, beyond.map(|pair| (&pair.0[..], length(&pair))));
    if beyond.is_none() {
        assert_eq!(
            received.map(|received| received.concat()).as_deref(),
            Some(pairs)
        );
    }
}

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

/// The contents of the records.
fn records(wire: &[u8]) -> Vec<&[u8]> {
    let mut rest = wire.strip_prefix(b"before").expect("what was there before");
    let mut records = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<HEADER_LEN>() {
        let header = Header::decode(*header).expect("a header");
        let kind = RecordType::from_code(header.kind);
        assert_eq!(
            (kind, header.request_id),
            (Some(RecordType::Params), Id::FIRST.get())
        );
        // An empty record would end the stream.
        assert!(header.content_length > 0);
        let (part, padded) = after.split_at(header.content_length.into());
        records.push(part);
        rest = padded.split_at(header.padding_length.into()).1;
    }
    assert!(rest.is_empty());
    records
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
    let received = decode_pairs(&records(&wire).concat()).expect("pairs");
    assert_eq!(received.len(), fields.len());
    for ((name, value), (field, text)) in received.iter().zip(&fields) {
        let expected = format!("HTTP_{}", field.replace('-', "_").to_ascii_uppercase());
        assert_eq!(
            (&name[..], &value[..]),
            (expected.as_bytes(), text.as_bytes())
        );
    }
}

//! Name-value pairs at every boundary of length.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Returns the contents of the PARAMS records in `wire`.
fn records(mut wire: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some((header, rest)) = wire.split_first_chunk::<HEADER_LEN>() {
        let header = Header::decode(*header).unwrap();
        assert_eq!(
            header,
            Header::of(RecordType::Params, header.content_length)
        );
        let (part, rest) = rest.split_at(header.content_length.into());
        records.push(part);
        wire = rest;
    }
    assert!(wire.is_empty(), "bytes behind the last record");
    records
}

/// Decodes the stream as an application does (§3.3): the sizes of its records, and the pairs.
fn receive(wire: &[u8]) -> (Vec<usize>, Vec<Pair>) {
    let records = records(wire);
    let sizes = records.iter().map(|record| record.len()).collect();
    (sizes, decode_pairs(&records.concat()).unwrap())
}

/// Decodes it as PHP does: each record by itself; PHP hangs up at a pair that does not end in its record.
fn receive_as_php(wire: &[u8]) -> Vec<Pair> {
    let records = records(wire).into_iter();
    records
        .flat_map(|record| decode_pairs(record).unwrap())
        .collect()
}

fn send(pairs: &[Pair]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut params = ParamsEncoder::new(&mut out);
    for (name, value) in pairs {
        params.pair(name, value);
    }
    params.finish();
    out
}

/// Returns pairs with values of these sizes, and the sizes as names.
fn of_sizes(sizes: &[usize], byte: u8) -> Vec<Pair> {
    let pair = |size: &usize| (size.to_string().into_bytes(), vec![byte; *size]);
    sizes.iter().map(pair).collect()
}

#[test]
fn lengths_have_two_forms() {
    let check = |length: usize, expected: &[u8]| {
        let mut out = Vec::new();
        push_length(&mut out, length);
        assert_eq!(out, expected, "{length}");
        assert_eq!(take_length(&mut out.as_slice()), Ok(length));
    };
    check(0, &[0]);
    check(127, &[127]);
    check(128, &[0x80, 0, 0, 128]);
    check(255, &[0x80, 0, 0, 255]);
    check(65_536, &[0x80, 1, 0, 0]);
    check(MAX_LENGTH, &[0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn a_record_follows_what_the_buffer_holds() {
    let mut out = b"before".to_vec();
    let mut params = ParamsEncoder::new(&mut out);
    params.pair(b"A", b"xy");
    params.finish();
    end_of_params(&mut out);
    assert_eq!(
        out,
        b"before\x01\x04\0\x01\0\x05\0\0\x01\x02Axy\x01\x04\0\x01\0\0\0\0"
    );
}

#[test]
fn every_way_to_add_a_pair_writes_the_same() {
    let mut site = Vec::new();
    encode_pair(&mut site, b"HTTP_X_ABC_9", b"one two");
    let ways: [fn(&mut ParamsEncoder, &[u8]); 4] = [
        |params, _| params.pair(b"HTTP_X_ABC_9", b"one two"),
        |params, _| params.pair_parts(b"HTTP_X_ABC_9", &[b"one", b"", b" ", b"two"]),
        |params, _| params.http_field("x-aBc-9", b"one two"),
        |params, site| params.raw(site),
    ];
    for (index, way) in ways.iter().enumerate() {
        let mut out = Vec::new();
        let mut params = ParamsEncoder::new(&mut out);
        way(&mut params, &site);
        params.finish();
        assert_eq!(out[HEADER_LEN..], site, "way {index}");
    }
}

#[test]
fn http_fields_take_the_long_form_too() {
    for length in [121, 122, 123, 300] {
        let name = "n".repeat(length);
        let mut out = Vec::new();
        let mut params = ParamsEncoder::new(&mut out);
        params.http_field(&name, &[0xff; 200]);
        params.finish();
        let expected = format!("HTTP_{}", "N".repeat(length)).into_bytes();
        assert_eq!(receive(&out).1, [(expected, vec![0xff; 200])]);
    }
}

#[test]
fn no_pairs_write_no_record() {
    let mut out = b"before".to_vec();
    ParamsEncoder::new(&mut out).finish();
    assert_eq!(out, b"before");
}

#[test]
fn records_are_filled_to_the_brim() {
    // Eight bytes are the pair's own: name length 1, value length 4, name 3.
    let check = |value: usize, expected: &[usize]| {
        let pairs = [(b"BIG".to_vec(), vec![b'x'; value])];
        let (sizes, received) = receive(&send(&pairs));
        assert_eq!(sizes, expected, "{value}");
        assert_eq!(received, pairs);
    };
    check(65_526, &[65_534]);
    check(65_527, &[65_535]);
    check(65_528, &[65_535, 1]);
    check(131_062, &[65_535, 65_535]);
    check(204_800, &[65_535, 65_535, 65_535, 8_203]);
}

#[test]
fn records_are_split_between_pairs() {
    // The sizes of the pairs on the wire, each with a name of one byte and two lengths.
    let check = |sizes: &[usize], expected: &[usize]| {
        let pairs: Vec<Pair> = sizes
            .iter()
            .map(|size| (b"N".to_vec(), vec![b'x'; size - 6]))
            .collect();
        let (records, received) = receive(&send(&pairs));
        assert_eq!(records, expected, "{sizes:?}");
        assert_eq!(received, pairs, "{sizes:?}");
    };
    check(&[8_000; 8], &[64_000]);
    check(&[8_000; 9], &[64_000, 8_000]);
    check(&[40_000, 40_000], &[40_000, 40_000]);
    check(&[65_535, 65_535], &[65_535, 65_535]);
    check(&[32_768, 32_767, 200], &[65_535, 200]);
    check(&[32_768, 32_768], &[32_768, 32_768]);
    // A pair that exceeds a record is split across records of its own.
    check(&[200, 65_536, 200], &[200, 65_535, 1, 200]);
    check(&[140_000, 60_000, 5_000], &[65_535, 65_535, 8_930, 65_000]);
}

#[test]
fn a_pair_that_no_record_has_room_for_is_found() {
    let check = |values: &[usize], expected: Option<(&str, usize)>| {
        let mut content = Vec::new();
        for (number, value) in values.iter().enumerate() {
            encode_pair(
                &mut content,
                format!("N{number}").as_bytes(),
                &vec![b'x'; *value],
            );
        }
        let found = pair_beyond_record(&content);
        let expected = expected.map(|(name, length)| (name.as_bytes(), length));
        assert_eq!(found, expected, "{values:?}");
    };
    check(&[], None);
    check(&[65_528], None);
    check(&[65_529], Some(("N0", 65_536)));
    check(&[65_528; 9], None);
    check(&[3, 70_000, 80_000], Some(("N1", 70_007)));
}

#[test]
fn malformed_pairs_are_refused() {
    let check = |content: &[u8]| {
        let result = decode_pairs(content);
        assert_eq!(result, Err(ProtocolError::MalformedPairs), "{content:?}");
    };
    check(&[1]);
    check(&[1, 0]);
    check(&[1, 2, b'A', b'x']);
    check(&[0x80, 0, 0]);
    check(&[0x80, 0, 0, 1]);
    check(&[0xff, 0xff, 0xff, 0xff, 0, b'A']);
    check(&[1, 0, b'A', 1]);
}

#[test]
fn a_short_length_in_the_long_form_is_read() {
    let pairs = decode_pairs(&[0x80, 0, 0, 1, 0, b'A']).unwrap();
    assert_eq!(pairs, [(b"A".to_vec(), Vec::new())]);
}

proptest! {
    #[test]
    fn pairs_survive_the_wire(pairs in vec((vec(any::<u8>(), 0..300), vec(any::<u8>(), 0..300)), 1..20)) {
        let wire = send(&pairs);
        prop_assert_eq!(receive_as_php(&wire), pairs);
    }

    #[test]
    fn the_length_of_a_pair_is_what_it_takes(name in 0_usize..300, value in 0_usize..300) {
        let mut content = Vec::new();
        encode_pair(&mut content, &vec![b'n'; name], &vec![b'v'; value]);
        prop_assert_eq!(pair_length(name, value), content.len());
    }

    #[test]
    fn pairs_survive_record_boundaries(sizes in vec(0_usize..90_000, 1..6), byte: u8) {
        let pairs = of_sizes(&sizes, byte);
        prop_assert_eq!(receive(&send(&pairs)).1, pairs);
    }

    #[test]
    fn no_pair_lies_across_two_records(sizes in vec(prop_oneof![0..300_usize, 0..65_523_usize, 65_000..65_523_usize], 1..40), byte: u8) {
        let pairs = of_sizes(&sizes, byte);
        let wire = send(&pairs);
        prop_assert_eq!(receive_as_php(&wire), pairs);
        // Each record is full: the next pair would not have fitted.
        for two in records(&wire).windows(2) {
            let (_, next) = pair_lengths(two[1]).next().unwrap();
            prop_assert!(two[0].len() + next > MAX_CONTENT);
        }
    }

    #[test]
    fn a_value_in_parts_is_the_value(parts in vec(vec(any::<u8>(), 0..100), 0..6)) {
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let mut out = Vec::new();
        let mut params = ParamsEncoder::new(&mut out);
        params.pair_parts(b"NAME", &slices);
        params.finish();
        prop_assert_eq!(out, send(&[(b"NAME".to_vec(), parts.concat())]));
    }

    #[test]
    fn random_bytes_never_panic(content in vec(any::<u8>(), 0..200)) {
        let _ = decode_pairs(&content);
    }
}

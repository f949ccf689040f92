//! Records cut anywhere, and malformed ones.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Encodes a record of an application.
fn record(kind: u8, request_id: u16, content: &[u8], padding_length: u8) -> Vec<u8> {
    let header = Header {
        kind,
        request_id,
        content_length: content.len().try_into().unwrap(),
        padding_length,
    };
    let mut wire = header.encode().to_vec();
    wire.extend_from_slice(content);
    wire.resize(wire.len() + usize::from(padding_length), 0xEE);
    wire
}

/// Decodes `wire` in pieces of the given sizes (repeated as long as needed); joins consecutive parts of a
/// stream. The wire must end between two records.
fn decode(wire: &[u8], pieces: &[usize]) -> Result<Vec<Event>, ProtocolError> {
    let mut decoder = Decoder::default();
    let mut input = BytesMut::new();
    let mut events = Vec::new();
    let mut rest = wire;
    for &size in pieces.iter().cycle() {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        input.extend_from_slice(piece);
        while let Some(event) = decoder.next(&mut input)? {
            push_joined(&mut events, event);
        }
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    assert!(decoder.is_between_records() && input.is_empty());
    Ok(events)
}

fn push_joined(events: &mut Vec<Event>, event: Event) {
    match (events.last_mut(), &event) {
        (Some(Event::Stdout(last)), Event::Stdout(part))
        | (Some(Event::Stderr(last)), Event::Stderr(part)) => {
            *last = [&last[..], &part[..]].concat().into();
        }
        _ => events.push(event),
    }
}

fn stdout(text: &'static str) -> Event {
    Event::Stdout(Bytes::from_static(text.as_bytes()))
}

fn end(app_status: u32, protocol_status: ProtocolStatus) -> Event {
    Event::End {
        app_status,
        protocol_status,
    }
}

#[test]
fn records_become_events() {
    let check = |wire: &[u8], expected: &[Event]| {
        assert_eq!(decode(wire, &[usize::MAX]).unwrap(), expected);
        assert_eq!(decode(wire, &[1]).unwrap(), expected, "byte by byte");
    };
    let complete = ProtocolStatus::RequestComplete;
    check(&record(6, 1, b"hello", 3), &[stdout("hello")]);
    check(&record(6, 1, b"", 5), &[]);
    check(&record(7, 1, b"", 0), &[]);
    check(
        &record(3, 1, &[0, 0, 1, 2, 0, 9, 9, 9], 255),
        &[end(258, complete)],
    );
    // Longer than specified.
    check(&record(3, 1, &[0; 20], 1), &[end(0, complete)]);
    for (code, status) in [
        (1, ProtocolStatus::CantMpxConn),
        (2, ProtocolStatus::Overloaded),
        (3, ProtocolStatus::UnknownRole),
        (4, ProtocolStatus::Other(4)),
    ] {
        check(
            &record(3, 1, &[0, 0, 0, 0, code, 0, 0, 0], 0),
            &[end(0, status)],
        );
    }
    // PHP-FPM's acknowledgement has no content.
    check(&record(10, 0, b"", 0), &[Event::Values(Bytes::new())]);
    let values: &'static [u8] = b"\x0f\x01FCGI_MPXS_CONNS0";
    check(&record(10, 0, values, 5), &[Event::Values(values.into())]);
    check(&record(11, 0, &[99, 0, 0, 0, 0, 0, 0, 0], 7), &[]);
    check(&record(200, 0, b"from the future", 1), &[]);
}

#[test]
fn what_breaks_the_protocol_is_refused() {
    let check = |wire: &[u8], expected: ProtocolError| {
        assert_eq!(decode(wire, &[usize::MAX]), Err(expected));
        assert_eq!(decode(wire, &[1]), Err(expected), "byte by byte");
    };
    check(b"HTTP/1.1 400", ProtocolError::WrongVersion(b'H'));
    for kind in [1, 2, 4, 5, 8, 9, 12] {
        check(
            &record(kind, 1, b"x", 0),
            ProtocolError::UnexpectedType(kind),
        );
    }
    check(&record(9, 0, b"", 0), ProtocolError::UnexpectedType(9));
    for kind in [3, 6, 7] {
        check(
            &record(kind, 2, &[0; 8], 0),
            ProtocolError::WrongRequestId(2),
        );
        check(
            &record(kind, 0, &[0; 8], 0),
            ProtocolError::WrongRequestId(0),
        );
    }
    check(&record(10, 1, b"", 0), ProtocolError::WrongRequestId(1));
    check(&record(11, 1, b"", 0), ProtocolError::WrongRequestId(1));
    check(&record(3, 1, &[0; 7], 0), ProtocolError::ShortEndRequest(7));
    check(&record(3, 1, &[], 9), ProtocolError::ShortEndRequest(0));
    check(
        &record(10, 0, &[0; 4_097], 0),
        ProtocolError::LongValues(4_097),
    );
}

#[test]
fn values_up_to_the_limit_are_collected() {
    let events = decode(&record(10, 0, &[7; 4_096], 8), &[100]).unwrap();
    assert_eq!(events, [Event::Values(vec![7; 4_096].into())]);
}

#[test]
fn content_is_handed_on_before_its_record_is_complete() {
    let wire = record(6, 1, b"hello", 0);
    let mut decoder = Decoder::default();
    let mut input = BytesMut::from(&wire[..10]);
    assert_eq!(decoder.next(&mut input), Ok(Some(stdout("he"))));
    assert_eq!(decoder.next(&mut input), Ok(None));
    assert!(!decoder.is_between_records());
    input.extend_from_slice(&wire[10..]);
    assert_eq!(decoder.next(&mut input), Ok(Some(stdout("llo"))));
    assert!(decoder.is_between_records());
}

#[test]
fn the_padding_of_end_request_is_waited_for() {
    let wire = record(3, 1, &[0; 8], 8);
    let expected = end(0, ProtocolStatus::RequestComplete);
    let mut decoder = Decoder::default();
    let mut input = BytesMut::from(&wire[..18]);
    assert_eq!(decoder.next(&mut input), Ok(Some(expected.clone())));
    assert!(input.is_empty() && !decoder.is_between_records());
    input.extend_from_slice(&wire[18..]);
    input.extend_from_slice(&record(6, 1, b"next", 0));
    assert_eq!(decoder.next(&mut input), Ok(Some(stdout("next"))));

    // All of it has arrived: no further call is needed.
    let mut input = BytesMut::from(&wire[..]);
    assert_eq!(decoder.next(&mut input), Ok(Some(expected)));
    assert!(input.is_empty() && decoder.is_between_records());
}

#[test]
fn behind_its_end_a_request_is_skipped_and_counted_and_no_other() {
    let late = [
        record(6, 1, b"late", 3),
        record(7, 1, b"!", 0),
        record(6, 1, b"", 0),
        record(3, 1, &[0; 8], 0),
    ]
    .concat();
    let read = |decoder: &mut Decoder, wire: &[u8], piece: usize| {
        let mut input = BytesMut::new();
        let mut events = Vec::new();
        for piece in wire.chunks(piece) {
            input.extend_from_slice(piece);
            while let Some(event) = decoder.next(&mut input)? {
                events.push(event);
            }
        }
        Ok::<_, ProtocolError>(events)
    };
    let values = [&late[..], &record(10, 0, b"v", 0)].concat();
    let next = |id| [&late[..], &record(6, id, b"x", 0)].concat();
    for piece in [1, 7, usize::MAX] {
        let ended = || {
            let mut decoder = Decoder::default();
            decoder.end();
            decoder
        };
        let mut decoder = ended();
        let events = read(&mut decoder, &values, piece).unwrap();
        assert_eq!(events, [Event::Values("v".into())]);
        assert_eq!(decoder.late_bytes(), 13);
        let error = read(&mut ended(), &next(2), piece).unwrap_err();
        assert_eq!(error, ProtocolError::WrongRequestId(2));

        // The next request, without a proof that the one before was done.
        let mut decoder = Decoder::behind(Some(Id::FIRST), Id::nth(1));
        let events = read(&mut decoder, &next(2), piece).unwrap();
        assert_eq!((events, decoder.late_bytes()), (vec![stdout("x")], 13));
        let error = read(&mut decoder, &next(3), piece).unwrap_err();
        assert_eq!(error, ProtocolError::WrongRequestId(3));
        // With a proof, a record of it is an error.
        let error = read(&mut Decoder::new(Id::nth(1)), &late, piece).unwrap_err();
        assert_eq!(error, ProtocolError::WrongRequestId(1));
    }
}

#[test]
fn content_is_not_copied() {
    let mut input = BytesMut::from(&record(6, 1, b"hello", 0)[..]);
    let content = input[HEADER_LEN..].as_ptr();
    let Ok(Some(Event::Stdout(part))) = Decoder::default().next(&mut input) else {
        panic!("expected stdout");
    };
    assert_eq!(part.as_ptr(), content);
}

/// Generates a record of an application, and its event.
fn sent() -> impl Strategy<Value = (Vec<u8>, Option<Event>)> {
    let content = || vec(any::<u8>(), 0..600);
    let padding = any::<u8>;
    prop_oneof![
        (content(), padding()).prop_map(|(content, padding)| {
            let wire = record(6, 1, &content, padding);
            (wire, Stream::Stdout.event(content.into()))
        }),
        (content(), padding()).prop_map(|(content, padding)| {
            let wire = record(7, 1, &content, padding);
            (wire, Stream::Stderr.event(content.into()))
        }),
        (any::<u32>(), any::<u8>(), padding()).prop_map(|(app_status, status, padding)| {
            let [a, b, c, d] = app_status.to_be_bytes();
            let wire = record(3, 1, &[a, b, c, d, status, 0, 0, 0], padding);
            (wire, Some(end(app_status, status.into())))
        }),
        (content(), padding()).prop_map(|(content, padding)| {
            let wire = record(10, 0, &content, padding);
            (wire, Some(Event::Values(content.into())))
        }),
        (11..=u8::MAX, content(), padding())
            .prop_map(|(kind, content, padding)| (record(kind, 0, &content, padding), None)),
    ]
}

proptest! {
    #[test]
    fn records_survive_any_cut(records in vec(sent(), 1..12), pieces in vec(1_usize..700, 1..8)) {
        let mut wire = Vec::new();
        let mut expected = Vec::new();
        for (bytes, event) in records {
            wire.extend(bytes);
            event.into_iter().for_each(|event| push_joined(&mut expected, event));
        }
        prop_assert_eq!(&decode(&wire, &pieces).unwrap(), &expected);
        prop_assert_eq!(&decode(&wire, &[1]).unwrap(), &expected);
        prop_assert_eq!(&decode(&wire, &[usize::MAX]).unwrap(), &expected);
    }

    #[test]
    fn random_bytes_never_panic(wire in vec(any::<u8>(), 0..300), kind in 0..13_u8, id in 0..2_u8) {
        let plausible = [&[1, kind, 0, id], &wire[..]].concat();
        for wire in [wire, plausible] {
            let mut input = BytesMut::from(&wire[..]);
            let mut decoder = Decoder::default();
            while let Ok(Some(_)) = decoder.next(&mut input) {}
        }
    }
}

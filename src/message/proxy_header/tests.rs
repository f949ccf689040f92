//! Headers of proxies, and malformed ones.

use proptest::prelude::*;

use super::*;

fn proxied(source: &str, destination: &str) -> ProxyHeader {
    ProxyHeader::Proxied {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

/// Builds a header of version 2.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family][..], &length, rest].concat()
}

const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0xc3, 0xcb, 1, 0xbb];

fn v6() -> Vec<u8> {
    let [source, destination] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
    let octets = |address: Ipv6Addr| address.octets();
    [&octets(source)[..], &octets(destination), &V4[8..]].concat()
}

/// Checks that the header is read whole, also with bytes behind it, and that every prefix is incomplete.
#[track_caller]
fn check(bytes: &[u8], expected: ProxyHeader) {
    for end in 0..bytes.len() {
        assert_eq!(ProxyHeader::read(&bytes[..end]), Ok(None), "{end}");
    }
    for behind in [&b""[..], b"GET / HTTP/1.1\r\n\r\n"] {
        let read = ProxyHeader::read(&[bytes, behind].concat());
        assert_eq!(read, Ok(Some((expected, bytes.len()))));
    }
}

#[test]
fn lines_are_read() {
    let client = proxied("192.0.2.1:50123", "198.51.100.7:443");
    check(b"PROXY TCP4 192.0.2.1 198.51.100.7 50123 443\r\n", client);
    let client = proxied("[2001:db8::1]:1", "[2001:db8::2]:65535");
    check(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", client);
    check(b"PROXY UNKNOWN\r\n", ProxyHeader::Local);
    check(b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n", ProxyHeader::Local);
    // §2.1: the longest of all.
    let all = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY UNKNOWN {all} {all} 65535 65535\r\n");
    assert_eq!(longest.len(), LINE_LENGTH);
    check(longest.as_bytes(), ProxyHeader::Local);
}

#[test]
fn binary_headers_are_read() {
    let v4 = proxied("192.0.2.1:50123", "198.51.100.7:443");
    let v6_clients = proxied("[2001:db8::1]:50123", "[2001:db8::2]:443");
    let extended = [&V4[..], &[4, 0, 1, 0]].concat();
    for (command, family, rest, expected) in [
        (0x21, 0x11, V4.to_vec(), v4),
        (0x21, 0x12, V4.to_vec(), v4),
        (0x21, 0x11, extended, v4),
        (0x21, 0x21, v6(), v6_clients),
        (0x21, 0x22, v6(), v6_clients),
        (0x21, 0x00, vec![], ProxyHeader::Local),
        (0x21, 0x31, vec![b'/'; 216], ProxyHeader::Local),
        (0x20, 0x00, vec![], ProxyHeader::Local),
        (0x20, 0x11, V4.to_vec(), ProxyHeader::Local),
        (0x20, 0xff, vec![1, 2], ProxyHeader::Local),
    ] {
        check(&binary(command, family, &rest), expected);
    }
}

#[test]
fn what_is_no_header_is_refused() {
    let line = Malformed::Line;
    for (bytes, expected) in [
        (b"GET / HTTP/1.1\r\n".to_vec(), Malformed::Signature),
        (b"POST / HTTP/1.1\r\n".to_vec(), Malformed::Signature),
        (b"PRI * HTTP/2.0\r\n".to_vec(), Malformed::Signature),
        (b"\x16\x03\x01".to_vec(), Malformed::Signature),
        (b"\r\n\r\nX".to_vec(), Malformed::Signature),
        (b"PROXY\r\n".to_vec(), Malformed::Signature),
        (b"PROXY TCP4\r\n".to_vec(), line),
        (b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(), line),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n".to_vec(), line),
        (b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n".to_vec(), line),
        (b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(), line),
        (b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(), line),
        (b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n".to_vec(), line),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n".to_vec(), line),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n".to_vec(), line),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n".to_vec(), line),
        ([b"PROXY UNKNOWN ", [b'x'; 100].as_slice()].concat(), line),
        (binary(0x11, 0x11, &V4), Malformed::Reserved(0x11)),
        (binary(0x22, 0x11, &V4), Malformed::Reserved(0x22)),
        (binary(0x21, 0x13, &V4), Malformed::Reserved(0x13)),
        (binary(0x21, 0x11, &V4[1..]), Malformed::Short),
        (binary(0x21, 0x21, &V4), Malformed::Short),
        (binary(0x21, 0x11, &[0; 5000]), Malformed::Long(5016)),
    ] {
        assert_eq!(ProxyHeader::read(&bytes), Err(expected), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, signed: bool) {
        let bytes = if signed { [&SIGNATURE[..], &bytes].concat() } else { bytes };
        if let Ok(Some((_, length))) = ProxyHeader::read(&bytes) {
            prop_assert!(length <= bytes.len() && length <= MAX_LENGTH);
        }
    }

    #[test]
    fn what_is_written_is_read(source: SocketAddr, port: u16) {
        let destination = SocketAddr::new(source.ip(), port);
        let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let line = format!("PROXY {family} {0} {0} {1} {port}\r\n", source.ip(), source.port());
        let source = SocketAddr::new(source.ip(), source.port());
        let expected = ProxyHeader::Proxied { source, destination };
        prop_assert_eq!(ProxyHeader::read(line.as_bytes()), Ok(Some((expected, line.len()))));
    }
}

//! The PROXY protocol header, which a proxy sends first on a connection to name the client:
//! versions 1 and 2 (`proxy-protocol.txt` of HAProxy, sections by its numbers).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The origin of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// A connection of the proxy itself, or of a client without a known address.
    Local,
    /// A connection of a client.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// The address that the client connected to.
        destination: SocketAddr,
    },
}

/// An error in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The signature is missing.
    #[error("no PROXY header")]
    Signature,
    /// §2.1: the line is too long, unterminated or malformed.
    #[error("a malformed PROXY line")]
    Line,
    /// §2.2: another version than 2, a command besides LOCAL and PROXY, or an undefined family.
    #[error("a PROXY header with the reserved byte {0:#04x}")]
    Reserved(u8),
    /// §2.2: shorter than its addresses.
    #[error("a PROXY header shorter than its addresses")]
    Short,
    /// Longer than [`MAX_LENGTH`].
    #[error("a PROXY header of {0} bytes, more than {MAX_LENGTH}")]
    Long(usize),
}

/// The longest header accepted, in bytes. Version 2 allows 64 KiB of extensions; client certificates
/// are the longest in use.
pub const MAX_LENGTH: usize = 4096;

/// Length of the longest line with its CRLF (§2.1).
const LINE_LENGTH: usize = 107;

/// Signature of version 2 (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

impl ProxyHeader {
    /// Parses the header at the beginning of `bytes`; returns it with its length, `None` while it is incomplete.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        match bytes.first() {
            None => Ok(None),
            Some(b'P') => line(bytes),
            Some(_) => binary(bytes),
        }
    }
}

/// Reports whether `bytes` begin with `start`, as far as they have arrived.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes
        .iter()
        .zip(start)
        .all(|(byte, expected)| byte == expected)
}

/// Parses version 1 (§2.1): `PROXY TCP4 192.0.2.1 198.51.100.7 50123 443`, or `PROXY UNKNOWN` and anything.
fn line(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, Malformed> {
    if !begins(bytes, b"PROXY ") {
        return Err(Malformed::Signature);
    }
    let possible = bytes.get(..LINE_LENGTH).unwrap_or(bytes);
    let end = possible.windows(2).position(|pair| pair == b"\r\n");
    let Some((text, _)) = end.and_then(|end| possible.split_at_checked(end)) else {
        if bytes.len() < LINE_LENGTH {
            return Ok(None);
        }
        return Err(Malformed::Line);
    };
    let header = words(text).ok_or(Malformed::Line)?;
    Ok(Some((header, text.len() + 2)))
}

fn words(line: &[u8]) -> Option<ProxyHeader> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(ProxyHeader::Local);
    }
    let mut address = || ip(family, words.next()?);
    let (source, destination) = (address()?, address()?);
    let mut port = || port(words.next()?);
    let (source_port, destination_port) = (port()?, port()?);
    words.next().is_none().then_some(ProxyHeader::Proxied {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

fn ip(family: &str, text: &str) -> Option<IpAddr> {
    match family {
        "TCP4" => text.parse().ok().map(IpAddr::V4),
        "TCP6" => text.parse().ok().map(IpAddr::V6),
        _ => None,
    }
}

/// Parses a decimal port without leading zeros (§2.1).
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Parses version 2 (§2.2): the signature, version and command, family and protocol, and the length of the rest.
fn binary(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, Malformed> {
    if !begins(bytes, SIGNATURE) {
        return Err(Malformed::Signature);
    }
    let Some((head, rest)) = bytes.split_first_chunk::<16>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *head;
    let proxied = match command {
        0x20 => false,
        0x21 => true,
        reserved => return Err(Malformed::Reserved(reserved)),
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if head.len() + length > MAX_LENGTH {
        return Err(Malformed::Long(head.len() + length));
    }
    let Some(rest) = rest.get(..length) else {
        return Ok(None);
    };
    let header = if proxied {
        addresses(family, rest)?
    } else {
        ProxyHeader::Local
    };
    Ok(Some((header, head.len() + length)))
}

/// Parses the addresses of a family (§2.2) and ignores the extensions behind them. A client that uses HTTP/3
/// with its proxy has a datagram family.
fn addresses(family: u8, rest: &[u8]) -> Result<ProxyHeader, Malformed> {
    let addresses = match family {
        0x11 | 0x12 => ipv4(rest),
        0x21 | 0x22 => ipv6(rest),
        // Unspecified, and unix sockets, whose paths do not identify a client.
        0x00 | 0x31 | 0x32 => return Ok(ProxyHeader::Local),
        reserved => return Err(Malformed::Reserved(reserved)),
    };
    let ((source, destination), ports) = addresses.ok_or(Malformed::Short)?;
    let ports = ports.first_chunk::<4>().ok_or(Malformed::Short)?;
    let [a, b, c, d] = *ports;
    Ok(ProxyHeader::Proxied {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
    })
}

type Addresses<'a> = ((IpAddr, IpAddr), &'a [u8]);

fn ipv4(rest: &[u8]) -> Option<Addresses<'_>> {
    let (source, rest) = rest.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    let [source, destination] = [source, destination].map(|octets| Ipv4Addr::from(*octets).into());
    Some(((source, destination), rest))
}

fn ipv6(rest: &[u8]) -> Option<Addresses<'_>> {
    let (source, rest) = rest.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let [source, destination] = [source, destination].map(|octets| Ipv6Addr::from(*octets).into());
    Some(((source, destination), rest))
}

#[cfg(test)]
mod tests;

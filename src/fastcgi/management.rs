//! Management records, which concern the connection, not a request (FastCGI specification §4).

use super::params::decode_pairs;
use super::record::{HEADER_LEN, Header, NULL_REQUEST_ID, RecordType, begin_unknown_role};

/// The probe: one GET_VALUES record (§4.1). Its answer shows that a worker has picked up the connection, and
/// after a request that it is done. Every known application has a value for FCGI_MPXS_CONNS; PHP-FPM has none
/// for FCGI_MAX_CONNS, which distinguishes it from php-cgi.
///
/// It is padded because libfcgi and Perl's FCGI look at a record only when a byte follows it.
pub const PROBE: &[u8] = &probe();

/// The answer to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    /// FCGI_MPXS_CONNS is not 0: the application takes requests in any number, so that an answer proves no free
    /// worker.
    pub multiplexes: bool,
    /// FCGI_MAX_CONNS is absent: PHP-FPM.
    pub is_fpm: bool,
}

impl Values {
    /// Decodes GET_VALUES_RESULT. `None` without any value, which is what Go's net/http/fcgi sends after each
    /// answer.
    pub fn read(content: &[u8]) -> Option<Self> {
        let values = decode_pairs(content)
            .ok()
            .filter(|values| !values.is_empty())?;
        let value = |name: &[u8]| {
            let mut named = values.iter().filter(|(known, _)| known == name);
            named.next().map(|(_, value)| value.as_slice())
        };
        let multiplexes = value(MULTIPLEXES);
        Some(Self {
            multiplexes: multiplexes.is_some_and(|value| value != b"0"),
            is_fpm: multiplexes.is_some() && value(CONNECTIONS).is_none(),
        })
    }
}

/// Returns a probe, followed by a request for a role that no application has. It executes nothing; an
/// application that does not answer the probe still refuses the role or closes the connection, and a busy one
/// does neither until it is free.
pub fn role_probe() -> Vec<u8> {
    let mut records = PROBE.to_vec();
    begin_unknown_role(&mut records);
    records
}

const CONNECTIONS_LEN: u8 = 14;
const CONNECTIONS: &[u8; CONNECTIONS_LEN as usize] = b"FCGI_MAX_CONNS";
const MULTIPLEXES_LEN: u8 = 15;
const MULTIPLEXES: &[u8; MULTIPLEXES_LEN as usize] = b"FCGI_MPXS_CONNS";
/// Two lengths of one byte and the name, for each name; in GET_VALUES the values are empty.
const CONTENT_LEN: u8 = 2 + CONNECTIONS_LEN + 2 + MULTIPLEXES_LEN;
const PADDING_LEN: u8 = 8;
const PROBE_LEN: usize = HEADER_LEN + CONTENT_LEN as usize + PADDING_LEN as usize;

const fn probe() -> [u8; PROBE_LEN] {
    let mut record = [0; PROBE_LEN];
    let (header, content) = record.split_at_mut(HEADER_LEN);
    header.copy_from_slice(
        &Header {
            kind: RecordType::GetValues.code(),
            request_id: NULL_REQUEST_ID,
            content_length: CONTENT_LEN as u16,
            padding_length: PADDING_LEN,
        }
        .encode(),
    );
    let (first, second) = content.split_at_mut(2 + CONNECTIONS.len());
    put_name(first, CONNECTIONS_LEN, CONNECTIONS);
    put_name(second, MULTIPLEXES_LEN, MULTIPLEXES);
    record
}

const fn put_name(pair: &mut [u8], length: u8, name: &[u8]) {
    let (lengths, rest) = pair.split_at_mut(2);
    lengths.copy_from_slice(&[length, 0]);
    rest.split_at_mut(name.len()).0.copy_from_slice(name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fastcgi::params::encode_pair;

    #[test]
    fn the_probe_is_one_padded_record() {
        assert_eq!(
            PROBE,
            b"\x01\x09\0\0\0\x21\x08\0\x0e\0FCGI_MAX_CONNS\x0f\0FCGI_MPXS_CONNS\0\0\0\0\0\0\0\0"
        );
    }

    #[test]
    fn a_role_probe_asks_for_a_role_that_nobody_has() {
        let records = role_probe();
        let request = records.strip_prefix(PROBE).unwrap();
        assert_eq!(
            request,
            [1, 1, 0, 1, 0, 8, 0, 0, 0xff, 0xff, 1, 0, 0, 0, 0, 0]
        );
    }

    /// The answers of the tested applications.
    #[test]
    fn values_tell_what_answered() {
        let read = |pairs: &[(&str, &str)]| {
            let mut content = Vec::new();
            for (name, value) in pairs {
                encode_pair(&mut content, name.as_bytes(), value.as_bytes());
            }
            Values::read(&content).map(|values| (values.multiplexes, values.is_fpm))
        };
        let (max, reqs, mpxs) = ("FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS");
        let fpm = &[(mpxs, "0")][..];
        let php_cgi = &[(max, "0"), (reqs, "0"), (mpxs, "0")][..];
        let libfcgi = &[(max, "1"), (mpxs, "0")][..];
        let go = &[(max, "1000"), (mpxs, "1")][..];
        for (values, expected) in [
            (fpm, Some((false, true))),
            (php_cgi, Some((false, false))),
            (libfcgi, Some((false, false))),
            (go, Some((true, false))),
            (&[(max, "1")], Some((false, false))),
            (&[], None),
        ] {
            assert_eq!(read(values), expected, "{values:?}");
        }
        assert_eq!(Values::read(b"\x0f\x01FCGI"), None);
    }
}

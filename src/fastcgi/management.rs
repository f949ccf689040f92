//! Management records: about the connection, not about a request (FastCGI specification §4).

use super::record::{HEADER_LEN, Header, NULL_REQUEST_ID, RecordType};

/// The question that tells when a worker has picked up the connection: one GET_VALUES record (§4.1) for
/// FCGI_MAX_CONNS. Its answer's arrival counts, never its values: PHP-FPM answers this name with nothing.
///
/// It is padded because libfcgi and Perl's FCGI look at a record only when a byte follows it.
pub const PROBE: &[u8] = &probe();

const NAME_LEN: u8 = 14;
const NAME: &[u8; NAME_LEN as usize] = b"FCGI_MAX_CONNS";
/// Two one-byte lengths and the name; its value is empty in a question.
const CONTENT_LEN: u8 = 2 + NAME_LEN;
const PADDING_LEN: u8 = 8;
const PROBE_LEN: usize = HEADER_LEN + CONTENT_LEN as usize + PADDING_LEN as usize;

const fn probe() -> [u8; PROBE_LEN] {
    let mut record = [0; PROBE_LEN];
    let (header, content) = record.split_at_mut(HEADER_LEN);
    let (lengths, name) = content.split_at_mut(2);
    header.copy_from_slice(
        &Header {
            kind: RecordType::GetValues.code(),
            request_id: NULL_REQUEST_ID,
            content_length: CONTENT_LEN as u16,
            padding_length: PADDING_LEN,
        }
        .encode(),
    );
    lengths.copy_from_slice(&[NAME_LEN, 0]);
    name.split_at_mut(NAME.len()).0.copy_from_slice(NAME);
    record
}

#[cfg(test)]
mod tests {
    use super::PROBE;

    #[test]
    fn the_probe_is_one_padded_record() {
        assert_eq!(
            PROBE,
            b"\x01\x09\0\0\0\x10\x08\0\x0e\0FCGI_MAX_CONNS\0\0\0\0\0\0\0\0"
        );
    }
}

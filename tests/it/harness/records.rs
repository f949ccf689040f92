//! FastCGI records, written a second time and on purpose apart from src/fastcgi: two mistakes that agree would hide
//! each other.

use std::collections::BTreeMap;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

pub(crate) const BEGIN_REQUEST: u8 = 1;
pub(crate) const END_REQUEST: u8 = 3;
pub(crate) const PARAMS: u8 = 4;
pub(crate) const STDIN: u8 = 5;
pub(crate) const STDOUT: u8 = 6;
pub(crate) const STDERR: u8 = 7;
pub(crate) const GET_VALUES: u8 = 9;
pub(crate) const GET_VALUES_RESULT: u8 = 10;

/// One record, without its padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: u8,
    pub(crate) id: u16,
    pub(crate) content: Vec<u8>,
}

impl Record {
    pub(crate) fn new(kind: u8, id: u16, content: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            id,
            content: content.into(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.encode_padded(0)
    }

    /// With `padding` bytes behind the content, which are not zeros: nobody may look at them.
    pub(crate) fn encode_padded(&self, padding: u8) -> Vec<u8> {
        let id = self.id.to_be_bytes();
        let length = u16::try_from(self.content.len()).unwrap().to_be_bytes();
        let mut bytes = vec![1, self.kind, id[0], id[1], length[0], length[1], padding, 0];
        bytes.extend(&self.content);
        bytes.extend(std::iter::repeat_n(b'P', usize::from(padding)));
        bytes
    }

    /// The content of END_REQUEST (specification §5.5).
    pub(crate) fn end(id: u16, app_status: u32, protocol_status: u8) -> Self {
        let mut content = app_status.to_be_bytes().to_vec();
        content.extend([protocol_status, 0, 0, 0]);
        Self::new(END_REQUEST, id, content)
    }
}

/// Reads one record; `None` when the stream ends between two.
pub(crate) async fn read_record(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<Record>> {
    let mut header = [0; 8];
    if stream.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut header[1..]).await?;
    let [version, kind, id @ .., reserved] = header;
    assert_eq!(
        (version, reserved),
        (1, 0),
        "not the header of a record: {header:?}"
    );
    let [id_high, id_low, length_high, length_low, padding] = id;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let mut content = vec![0; length + usize::from(padding)];
    stream.read_exact(&mut content).await?;
    content.truncate(length);
    Ok(Some(Record {
        kind,
        id: u16::from_be_bytes([id_high, id_low]),
        content,
    }))
}

/// Name-value pairs (specification §3.4). A name that comes twice is a mistake of the gateway.
pub(crate) fn decode_pairs(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    while !bytes.is_empty() {
        let (name_length, value_length) = (take_length(&mut bytes), take_length(&mut bytes));
        let (name, rest) = bytes.split_at(name_length);
        let (value, rest) = rest.split_at(value_length);
        bytes = rest;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let before = pairs.insert(text(name), text(value));
        assert_eq!(before, None, "{} comes twice", text(name));
    }
    pairs
}

/// The other way, for names and values under 128 bytes.
pub(crate) fn encode_pairs(pairs: &[(&str, &str)]) -> Vec<u8> {
    let encode = |(name, value): &(&str, &str)| {
        let lengths = [name.len(), value.len()].map(|length| u8::try_from(length).unwrap());
        assert!(lengths.iter().all(|length| *length < 128));
        [&lengths, name.as_bytes(), value.as_bytes()].concat()
    };
    pairs.iter().flat_map(encode).collect()
}

fn take_length(bytes: &mut &[u8]) -> usize {
    let first = bytes[0];
    let (length, size) = if first < 128 {
        (usize::from(first), 1)
    } else {
        let four = [first & 0x7f, bytes[1], bytes[2], bytes[3]];
        (usize::try_from(u32::from_be_bytes(four)).unwrap(), 4)
    };
    *bytes = &bytes[size..];
    length
}

//! Content of a file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::sync::Arc;

use nix::errno::Errno;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Content of a file, which may be a private key: its memory is zeroed when the last clone is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Arc<Zeroizing<Vec<u8>>>);

impl Content {
    /// Reads a file of at most `limit` bytes.
    pub(super) fn read(file: &File, limit: u64) -> io::Result<Self> {
        let size = file.metadata()?.len().min(limit);
        // With room for all of it no part is left behind in memory that the buffer has outgrown.
        let room = usize::try_from(size).unwrap_or(usize::MAX);
        let mut bytes = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Self(Arc::new(bytes)).within(limit)
    }

    /// Returns the content if it has at most `limit` bytes.
    pub(super) fn within(self, limit: u64) -> io::Result<Self> {
        if u64::try_from(self.len()).is_ok_and(|length| length <= limit) {
            Ok(self)
        } else {
            Err(Errno::EFBIG.into())
        }
    }

    /// Returns the content as text.
    pub fn text(&self) -> io::Result<&str> {
        let invalid = |_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "stream did not contain valid UTF-8",
            )
        };
        str::from_utf8(self).map_err(invalid)
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes.to_vec())))
    }
}

/// Shows the length alone.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Content, E> {
                Ok(Content::from(bytes))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

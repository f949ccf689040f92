//! Values too large for a message, in sealed memory.

use std::io;
use std::os::fd::OwnedFd;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::packet;
use crate::files::memfd;

/// Limit of an encoded value, in bytes: the names of the files of a configuration with tens of thousands of sites.
const LARGEST: usize = 16 << 20;

/// Writes a value.
pub fn write(value: &impl Serialize) -> io::Result<OwnedFd> {
    let bytes = postcard::to_allocvec(value).map_err(io::Error::other)?;
    if bytes.len() > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    memfd::seal("fcgate", &bytes)
}

/// Reads a value.
pub fn read<T: DeserializeOwned>(memory: OwnedFd) -> io::Result<T> {
    packet::decode(&memfd::read(memory, LARGEST)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back() {
        let value = vec!["a".repeat(100_000), "b".to_owned()];
        assert_eq!(read::<Vec<String>>(write(&value).unwrap()).unwrap(), value);
    }

    #[test]
    fn a_value_of_another_shape_is_an_error() {
        assert!(read::<Vec<String>>(write(&"text").unwrap()).is_err());
    }
}

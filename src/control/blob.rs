//! Bytes too many for a message: a sealed file in memory (memfd_create(2)).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::packet;

/// Limit of the bytes, for a configuration with tens of thousands of files.
const LARGEST: u64 = 16 << 20;

/// Writes a value into a file that nobody can change any more.
pub fn write(value: &impl Serialize) -> io::Result<OwnedFd> {
    let bytes = postcard::to_allocvec(value).map_err(io::Error::other)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("fcgate", flags)?);
    file.write_all(&bytes)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// Reads a value from the start of a file.
pub fn read<T: DeserializeOwned>(file: OwnedFd) -> io::Result<T> {
    let mut file = File::from(file);
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    packet::decode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_and_cannot_be_changed() {
        let value = vec!["a".repeat(100_000), "b".to_owned()];
        let file = write(&value).unwrap();
        let mut copy = File::from(file.try_clone().unwrap());
        copy.seek(SeekFrom::Start(0)).unwrap();
        assert!(copy.write_all(b"x").is_err());
        assert_eq!(read::<Vec<String>>(file).unwrap(), value);
    }

    #[test]
    fn a_value_of_another_shape_is_an_error() {
        let file = write(&"text").unwrap();
        assert!(read::<Vec<String>>(file).is_err());
    }
}

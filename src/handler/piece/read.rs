//! Reads of files that must not change while they are sent.

use std::io;

use nix::sys::uio::pread;

use crate::disk::is_as_opened;
use crate::message::OpenFile;

/// Reads bytes of `file` at `offset`, up to the size of `space` and at least one. Fails if the file has changed since it was
/// opened: no bytes of another version are sent as if they were of this.
pub fn read(file: &OpenFile, offset: u64, space: &mut [u8]) -> io::Result<usize> {
    let offset = i64::try_from(offset).map_err(io::Error::other)?;
    let count = pread(&file.descriptor, space, offset)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if !is_as_opened(file) {
        return Err(io::Error::other("the file changed during transfer"));
    }
    Ok(count)
}

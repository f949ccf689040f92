//! Anonymous memory that is passed to another process, and that nobody can change afterwards (memfd_create(2)).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create};
use rustix::io::pread;
use zeroize::Zeroizing;

/// Seals against any change of content and size. The reader may rely on what it has checked.
const SEALS: SealFlags = SealFlags::SEAL
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

/// Returns sealed memory with this content. `name` is that of the file in /proc/PID/fd.
pub fn seal(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let mut memory = File::from(create(name)?);
    memory.write_all(content)?;
    fcntl_add_seals(&memory, SEALS)?;
    Ok(memory.into())
}

/// Creates memory that cannot be executed: the sysctl vm.memfd_noexec may ask for that. Linux before 6.3 lacks the flag.
fn create(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(rustix::io::Errno::INVAL) => Ok(memfd_create(name, flags)?),
        created => Ok(created?),
    }
}

/// Reads sealed memory of at most `limit` bytes. Memory that could still be changed is EPERM, a larger one is EFBIG.
pub fn read(memory: impl AsFd, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    if !fcntl_get_seals(&memory)?.contains(SEALS) {
        return Err(Errno::EPERM.into());
    }
    let size = usize::try_from(fstat(&memory)?.st_size).unwrap_or(usize::MAX);
    if size > limit {
        return Err(Errno::EFBIG.into());
    }
    let mut bytes = Zeroizing::new(vec![0; size]);
    let mut end = 0;
    while let Some(free) = bytes.get_mut(end..).filter(|free| !free.is_empty()) {
        // By offset: the position is shared with the sender.
        let offset = u64::try_from(end).unwrap_or(u64::MAX);
        match pread(&memory, free, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => end += read,
        }
    }
    Ok(bytes)
}

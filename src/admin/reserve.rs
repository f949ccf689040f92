//! Reserved descriptors: the admin listener answers when the limit on open files is reached.

use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

/// Number of reserved descriptors: one for an admin connection, one to probe PHP, and the same once more.
const KEPT: usize = 4;

/// Open descriptors of /dev/null.
#[derive(Debug)]
pub(super) struct Reserve(Mutex<Vec<File>>);

impl Reserve {
    /// Opens the descriptors, as far as possible.
    pub(super) fn new() -> Self {
        let reserve = Self(Mutex::new(Vec::with_capacity(KEPT)));
        reserve.refill();
        reserve
    }

    /// Closes one descriptor if `error` is a shortage; reports whether a retry makes sense.
    pub(super) fn release_one(&self, error: &io::Error) -> bool {
        is_shortage(error) && self.kept().pop().is_some()
    }

    /// Opens closed descriptors again, after another file was closed.
    pub(super) fn refill(&self) {
        let mut kept = self.kept();
        while kept.len() < KEPT {
            let Ok(file) = File::open("/dev/null") else {
                return;
            };
            kept.push(file);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports whether the process or the system has no descriptor left (open(2)).
pub(super) fn is_shortage(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(code, Some(Errno::EMFILE | Errno::ENFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_given_back_and_taken_again() {
        let reserve = Reserve::new();
        let given = |error: Errno| {
            let error = io::Error::from(error);
            (0..9).filter(|_| reserve.release_one(&error)).count()
        };
        assert_eq!(given(Errno::ECONNRESET), 0);
        assert_eq!(given(Errno::EMFILE), KEPT);
        assert_eq!(given(Errno::ENFILE), 0);
        reserve.refill();
        assert_eq!(given(Errno::ENFILE), KEPT);
    }
}

//! Descriptors that are kept back, so that the gateway can be asked about itself when it may open nothing more.

use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

/// One for the connection that asks, one to find out whether PHP can be reached, and the same once more.
const KEPT: usize = 4;

/// Open descriptors that mean nothing.
#[derive(Debug)]
pub(super) struct Reserve(Mutex<Vec<File>>);

impl Reserve {
    /// Opens them, as far as that is possible.
    pub(super) fn new() -> Self {
        let reserve = Self(Mutex::new(Vec::with_capacity(KEPT)));
        reserve.refill();
        reserve
    }

    /// Gives one back to the kernel where `error` says that it has none left for us; returns whether trying again
    /// makes sense.
    pub(super) fn release_one(&self, error: &io::Error) -> bool {
        is_shortage(error) && self.kept().pop().is_some()
    }

    /// Opens those again that were given back: when something was closed.
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

/// Reports whether no descriptor was left: for the process, or for the system (open(2)).
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

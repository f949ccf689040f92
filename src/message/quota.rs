//! A bound on the disk space that spooled content takes, over all requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::UploadError;

/// Bytes in use, and how many may be.
#[derive(Debug)]
pub struct Quota {
    used: AtomicU64,
    limit: AtomicU64,
}

/// One request's part of it; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    quota: Arc<Quota>,
    bytes: u64,
}

impl Quota {
    /// `limit` in bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            used: AtomicU64::new(0),
            limit: AtomicU64::new(limit),
        }
    }

    /// Another limit, for what is reserved from now on.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

impl Reservation {
    /// Nothing yet.
    pub fn new(quota: &Arc<Quota>) -> Self {
        Self {
            quota: Arc::clone(quota),
            bytes: 0,
        }
    }

    /// Bytes that it has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reserves `bytes` more, or fails with what the limit is.
    pub fn grow(&mut self, bytes: u64) -> Result<(), UploadError> {
        let limit = self.quota.limit.load(Ordering::Relaxed);
        let before = self.quota.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > limit {
            self.quota.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(UploadError::SpoolFull { limit });
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.quota.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_comes_back() {
        let quota = Arc::new(Quota::new(100));
        let mut first = Reservation::new(&quota);
        let mut second = Reservation::new(&quota);
        assert!(first.grow(60).is_ok());
        assert!(matches!(
            second.grow(60),
            Err(UploadError::SpoolFull { limit: 100 })
        ));
        drop(second);
        assert_eq!(quota.used(), 60);
        assert!(first.grow(40).is_ok());
        drop(first);
        assert_eq!(quota.used(), 0);
    }
}

//! Basic authentication (RFC 7617) by a file of users: the synchronous look-up of a remembered pair, and the check of any
//! other, which hashes.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::users::{Current, Entry, Loaded, Unavailable, UserFile};
use super::verifier::{Pair, Rejected, Verdict, Verifier, VerifyRequest};
use crate::limits::budget::Party;
use crate::limits::rate::Client;
use crate::message::{Credentials, Disk, RemoteUser};

/// The authentication scheme, as AUTH_TYPE names it.
pub const SCHEME: &str = "Basic";

/// Authentication by a file of users.
#[derive(Debug)]
pub struct Basic {
    /// The users and their groups.
    pub users: Arc<UserFile>,
    /// Hashing of passwords, shared by the process.
    pub verifier: Verifier,
    /// Time for which a verified pair is remembered; zero is never.
    pub remember: Duration,
    /// Maximum number of failed attempts of a client within a minute; 0 is no limit.
    pub attempts_per_minute: usize,
}

/// A pair of user and password to verify.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The users.
    pub basic: Arc<Basic>,
    /// The pair.
    pub credentials: Credentials,
    /// The client whose failed attempts count; `None` through a unix socket.
    pub client: Option<Client>,
    /// The client is unknown behind an untrusted proxy: attempts count by client and user.
    pub is_shared: bool,
}

/// The result of a verification.
#[derive(Clone, Debug)]
pub enum Verified {
    /// The password is that of this user.
    Right(RemoteUser),
    /// The user is unknown, or the password is wrong.
    Wrong {
        /// The user exists.
        is_known: bool,
    },
    /// The pair was not verified.
    Rejected(Rejected),
    /// The file of users cannot be read, for this reason.
    Unavailable(Unavailable),
}

impl PartialEq for Verification {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.basic, &other.basic) && self.credentials == other.credentials
    }
}

impl Eq for Verification {}

impl Basic {
    /// Returns the user of a pair that is remembered for the files as they are now.
    pub fn recall(
        &self,
        credentials: &Credentials,
        disk: &dyn Disk,
        (now, wall): (Instant, SystemTime),
    ) -> Option<RemoteUser> {
        let Current::Fresh(loaded) = self.users.current(disk, wall) else {
            return None;
        };
        loaded.users.entry(&credentials.user)?;
        let pair = self.pair(credentials, &loaded);
        let is_known = self.verifier.is_remembered(&pair, self.remember, now);
        is_known.then(|| user(credentials, &loaded))
    }

    /// Returns the pair with the user's entry in the file, which is empty for an unknown user.
    fn pair<'a>(&'a self, credentials: &'a Credentials, loaded: &'a Loaded) -> Pair<'a> {
        let entry = loaded.users.entry(&credentials.user);
        Pair {
            file: self.users.path().as_os_str().as_bytes(),
            user: &credentials.user,
            password: &credentials.password,
            entry: entry.map(Entry::text).unwrap_or_default(),
        }
    }
}

impl Verification {
    /// Verifies the pair against the files as they are now.
    pub async fn perform(&self) -> Verified {
        let users = Arc::clone(&self.basic.users);
        let loaded = match spawn_blocking(move || users.reload()).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(unavailable)) => return Verified::Unavailable(unavailable),
            // The runtime ends.
            Err(_) => return Verified::Wrong { is_known: false },
        };
        let request = VerifyRequest {
            pair: self.basic.pair(&self.credentials, &loaded),
            // Connections through a unix socket are one party: a new one is no new client.
            client: self.client.map_or(Party::Connection(0), Party::Client),
            is_shared: self.is_shared,
            per_minute: self.basic.attempts_per_minute,
            remember: self.basic.remember,
        };
        let (users, credentials) = (Arc::clone(&loaded), self.credentials.clone());
        let job = move || {
            if users.users.verify(&credentials.user, &credentials.password) {
                Verdict::Right
            } else {
                Verdict::Wrong
            }
        };
        match self.basic.verifier.run(&request, job).await {
            Ok(Verdict::Right) => Verified::Right(user(&self.credentials, &loaded)),
            Ok(Verdict::Wrong) => Verified::Wrong {
                is_known: loaded.users.entry(&self.credentials.user).is_some(),
            },
            Err(rejected) => Verified::Rejected(rejected),
        }
    }
}

fn user(credentials: &Credentials, loaded: &Loaded) -> RemoteUser {
    RemoteUser {
        name: Arc::from(&*credentials.user),
        scheme: Some(SCHEME),
        groups: loaded.groups.of(&credentials.user),
    }
}

/// Settings of a verifier.
#[cfg(test)]
pub(crate) const HASHING: super::verifier::Hashing = super::verifier::Hashing {
    at_once: 1,
    queue_length: 16,
};

/// Returns a file with one user, and its folder.
#[cfg(test)]
pub(crate) fn user_file() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    std::fs::write(&path, "user:{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=\n").unwrap();
    (folder, path)
}

/// Returns the authentication by such a file, which is gone.
#[cfg(test)]
pub(crate) fn sample() -> Arc<Basic> {
    static BASIC: std::sync::OnceLock<Arc<Basic>> = std::sync::OnceLock::new();
    let build = || {
        let (_folder, path) = user_file();
        Arc::new(Basic {
            users: super::users::UserFiles::default()
                .open(&path, None)
                .unwrap(),
            verifier: Verifier::new(HASHING),
            remember: Duration::ZERO,
            attempts_per_minute: 0,
        })
    };
    Arc::clone(BASIC.get_or_init(build))
}

/// Returns the result for a user whose password is right or wrong.
#[cfg(test)]
pub(crate) fn verdict(is_right: bool) -> Verified {
    let user = || RemoteUser {
        name: Arc::from(*b"user"),
        scheme: Some(SCHEME),
        groups: None,
    };
    if is_right {
        Verified::Right(user())
    } else {
        Verified::Wrong { is_known: true }
    }
}

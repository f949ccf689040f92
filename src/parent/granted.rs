//! A configuration that a server has loaded.

use std::io;
use std::os::fd::OwnedFd;

use super::sockets::{Set, Sockets};
use crate::control::file_access::Names;
use crate::control::{Grant, blob};

/// A configuration with all that belongs to it.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) grant: Grant,
    /// The content of its files.
    pub(super) bundle: OwnedFd,
    pub(super) sockets: Set,
}

impl Granted {
    /// Reads the descriptors of a grant, and binds its sockets.
    pub(super) fn receive(descriptors: Vec<OwnedFd>, sockets: &Sockets) -> anyhow::Result<Self> {
        let [grant, bundle] = <[OwnedFd; 2]>::try_from(descriptors)
            .map_err(|_| io::Error::other("a grant has two descriptors"))?;
        let grant: Grant = blob::read(grant)?;
        Ok(Self {
            sockets: sockets.bind(&grant)?,
            grant,
            bundle,
        })
    }

    /// Returns the files that a server may open, as grant `number`.
    pub(super) fn names(&self, number: u32) -> Names {
        Names {
            grant: number,
            files: self.grant.files.clone(),
            logs: self.grant.logs.clone(),
        }
    }
}

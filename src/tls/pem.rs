//! PEM files: certificate chains and their private keys.

use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::parse_x509_certificate;
use x509_parser::x509::X509Version;

use crate::files::{Content, Files};

/// An unusable file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", .file.display())]
pub struct PemError {
    /// The file.
    pub file: PathBuf,
    /// The error, one phrase.
    pub what: String,
    /// A remedy.
    pub help: Option<&'static str>,
}

impl PemError {
    pub(super) fn new(file: &Path, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            what: what.into(),
            help: None,
        }
    }

    fn help(self, help: &'static str) -> Self {
        Self {
            help: Some(help),
            ..self
        }
    }
}

/// State of a file without its contents: a replaced file differs in its inode or its time of status
/// change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    changed: (i64, i64),
    size: u64,
}

/// Returns the state of a file; `None` if it is missing.
pub(super) fn stamp(file: &Path, files: &Files) -> Option<Stamp> {
    let status = files.status(file).ok()?;
    Some(Stamp {
        inode: status.inode,
        changed: status.changed,
        size: status.size,
    })
}

/// Limit of a file, in bytes: the authorities of all browsers together have 300 KiB.
const MAX_LENGTH: u64 = 4 * 1024 * 1024;

/// Reads a certificate with its intermediates and its private key; fails if the two do not match.
pub(super) fn pair(
    certificate: &Path,
    key: &Path,
    files: &Files,
) -> Result<CertifiedKey, PemError> {
    let chain = certificates(certificate, files)?;
    let first = chain.first().cloned();
    let private = private_key(key, files)?;
    CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider())
        .map_err(|error| explain((certificate, first.as_ref()), key, &error))
}

fn explain(
    (certificate, first): (&Path, Option<&CertificateDer<'_>>),
    key: &Path,
    error: &rustls::Error,
) -> PemError {
    if let rustls::Error::InconsistentKeys(_) = error {
        let what = format!(
            "the private key is not that of the first certificate in {}",
            certificate.display()
        );
        return PemError::new(key, what).help(
            "the certificate of the site comes first in its file, the intermediates after it",
        );
    }
    if let rustls::Error::InvalidCertificate(error) = error {
        return unusable((certificate, first), error);
    }
    PemError::new(key, format!("the private key is unusable: {error}"))
}

/// Describes the error in the first certificate of a file.
fn unusable(
    (file, first): (&Path, Option<&CertificateDer<'_>>),
    error: &rustls::CertificateError,
) -> PemError {
    match first.map(|first| parse_x509_certificate(first)) {
        // RFC 5280 §4.1.2.1: subject alternative names need version 3.
        Some(Ok((_, first))) if first.version() != X509Version::V3 => PemError::new(
            file,
            format!(
                "the first certificate is X.509 version {}, and TLS needs version 3",
                first.version().0 + 1
            ),
        )
        .help("request one with the names of the site as subjectAltName, which makes it version 3: openssl x509 -req -extfile …"),
        Some(Ok(_)) => PemError::new(file, format!("the first certificate is unusable: {error}")),
        Some(Err(_)) | None => PemError::new(
            file,
            "the first certificate is unusable: the data between its lines is not a certificate",
        ),
    }
}

/// Reads all certificates of a file, at least one.
pub(super) fn certificates(
    file: &Path,
    files: &Files,
) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let text = read(file, files)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| malformed(file, &error))?;
    if !chain.is_empty() {
        Ok(chain)
    } else if contains(&text, "PRIVATE KEY-----") {
        Err(
            PemError::new(file, "it contains a private key and no certificate")
                .help("are `certificate` and `key` exchanged?"),
        )
    } else {
        Err(PemError::new(file, "it contains no certificate")
            .help("a PEM file has a line -----BEGIN CERTIFICATE-----"))
    }
}

/// Reads the first private key of a file.
fn private_key(file: &Path, files: &Files) -> Result<PrivateKeyDer<'static>, PemError> {
    let text = read(file, files)?;
    // RFC 7468 §11, and RFC 1421 §4.6.1.1 as OpenSSL writes it.
    if contains(&text, "-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || contains(&text, "Proc-Type: 4,ENCRYPTED")
    {
        return Err(PemError::new(file, "the private key is encrypted")
            .help("fcgate has no prompt for its passphrase: openssl pkey -in FILE -out PLAIN"));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        if matches!(error, Error::NoItemsFound) {
            PemError::new(file, "it contains no private key")
                .help("a PEM file has a line -----BEGIN PRIVATE KEY-----")
        } else {
            malformed(file, &error)
        }
    })
}

/// Reads the certificates of a file as trust anchors.
pub(super) fn authorities(file: &Path, files: &Files) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, files)? {
        roots.add(certificate).map_err(|error| {
            PemError::new(file, format!("a certificate in it is unusable: {error}"))
        })?;
    }
    Ok(roots)
}

fn read(file: &Path, files: &Files) -> Result<Content, PemError> {
    let unread = |error: io::Error| PemError::new(file, format!("cannot be read: {error}"));
    files.read(file, MAX_LENGTH).map_err(unread)
}

fn malformed(file: &Path, error: &Error) -> PemError {
    // The library's message prints bytes as numbers.
    let what = if matches!(error, Error::Base64Decode(_)) {
        "the data between its lines is not base64".to_owned()
    } else if matches!(error, Error::MissingSectionEnd { .. }) {
        "a -----BEGIN line has no -----END line".to_owned()
    } else if matches!(error, Error::IllegalSectionStart { .. }) {
        "a -----BEGIN line is malformed".to_owned()
    } else {
        error.to_string()
    };
    PemError::new(file, format!("is not a PEM file: {what}"))
}

fn contains(text: &[u8], words: &str) -> bool {
    text.windows(words.len())
        .any(|window| window == words.as_bytes())
}

#[cfg(test)]
mod tests;

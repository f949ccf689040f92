//! Certificates made for a test, and a client that speaks TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, SignatureAlgorithm,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::{Duplex, Stream};
use super::{Address, http1, http2};

/// Who signs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Test Authority");
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// An ECDSA certificate for these names.
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, &PKCS_ECDSA_P256_SHA256)
    }

    /// An RSA certificate for these names.
    pub(crate) fn issue_rsa(&self, names: &[&str]) -> Identity {
        self.issue_with(names, &PKCS_RSA_SHA256)
    }

    fn issue_with(&self, names: &[&str], algorithm: &'static SignatureAlgorithm) -> Identity {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(CertificateParams::new(names).unwrap(), algorithm)
    }

    /// A client's certificate: `O=Example, Inc.` and then the common name.
    pub(crate) fn issue_client(&self, name: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let names = &mut params.distinguished_name;
        names.push(DnType::OrganizationName, "Example, Inc.");
        names.push(DnType::CommonName, name);
        params.serial_number = Some(0x0A1B_u64.into());
        self.sign(params, &PKCS_ECDSA_P256_SHA256)
    }

    fn sign(&self, params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Identity {
        let key = KeyPair::generate_for(algorithm).unwrap();
        Identity {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Identity {
    /// Puts `NAME.pem` and `NAME.key` into `folder`, each in one step, as certbot does.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        for (extension, text) in [("pem", &self.certificate), ("key", &self.key)] {
            let new = folder.join(format!("{name}.new"));
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, folder.join(format!("{name}.{extension}"))).unwrap();
        }
    }

    /// The `tls` line of a site with these files.
    pub(crate) fn line(folder: &Path, name: &str) -> String {
        let file = folder.join(name);
        let file = file.display();
        format!("tls = {{ certificate = \"{file}.pem\", key = \"{file}.key\" }}")
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

/// How to connect.
#[derive(Clone)]
pub(crate) struct TlsClient {
    roots: RootCertStore,
    identity: Option<Identity>,
    versions: Vec<&'static SupportedProtocolVersion>,
    rsa_only: bool,
}

pub(crate) type Secured = TlsStream<Stream>;

impl Duplex for Secured {}

impl TlsClient {
    /// Believes `authority` and shows no certificate.
    pub(crate) fn new(authority: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
        roots.add(certificate).unwrap();
        Self {
            roots,
            identity: None,
            versions: rustls::ALL_VERSIONS.to_vec(),
            rsa_only: false,
        }
    }

    pub(crate) fn identity(self, identity: &Identity) -> Self {
        Self {
            identity: Some(identity.clone()),
            ..self
        }
    }

    pub(crate) fn versions(self, versions: &[&'static SupportedProtocolVersion]) -> Self {
        Self {
            versions: versions.to_vec(),
            ..self
        }
    }

    /// Understands no ECDSA, as old clients.
    pub(crate) fn rsa_only(self) -> Self {
        Self {
            rsa_only: true,
            ..self
        }
    }

    fn config(&self, protocol: &str) -> ClientConfig {
        let mut provider = aws_lc_rs::default_provider();
        if self.rsa_only {
            let algorithms = &mut provider.signature_verification_algorithms;
            let rsa = algorithms.mapping.iter().copied();
            let rsa: Vec<_> = rsa
                .filter(|(scheme, _)| format!("{scheme:?}").starts_with("RSA"))
                .collect();
            algorithms.mapping = rsa.leak();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.identity {
            Some(identity) => {
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                builder
                    .with_client_auth_cert(vec![identity.der()], key)
                    .unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config
    }

    /// Connects again and again as one client, which keeps its sessions to resume them.
    pub(crate) fn connector(&self, protocol: &str) -> TlsConnector {
        TlsConnector::from(Arc::new(self.config(protocol)))
    }

    /// The handshake, in which the client asks for `name` and speaks `protocol` (`h2`, `http/1.1`).
    pub(crate) async fn connect(
        &self,
        address: &Address,
        name: &str,
        protocol: &str,
    ) -> io::Result<Secured> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        self.connector(protocol)
            .connect(name, address.connect().await)
            .await
    }

    /// HTTP/1.1 on a new connection.
    pub(crate) async fn http1(&self, address: &Address, name: &str) -> http1::Connection {
        let stream = self.connect(address, name, "http/1.1").await.unwrap();
        http1::Connection::over(Box::new(stream))
    }

    /// HTTP/2 on a new connection.
    pub(crate) async fn http2(&self, address: &Address, name: &str) -> http2::Connection {
        let stream = self.connect(address, name, "h2").await.unwrap();
        http2::Connection::secured(Box::new(stream)).await
    }

    /// The certificate that the server shows for `name`.
    pub(crate) async fn shown(&self, address: &Address, name: &str) -> CertificateDer<'static> {
        let stream = self.connect(address, name, "http/1.1").await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }
}

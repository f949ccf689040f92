//! The TLS settings of a listener, and its handshakes.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use super::certificates::{Certificates, problem, tickets};
use super::facts::facts;
use super::pem::{self, PemError, Stamp};
use crate::files::Files;
use crate::message::TlsFacts;
use crate::section::{At, Key, Lowered, Problem, Problems, Section, absolute_path};
use crate::stream::{Stream, TLS_BUFFER};

/// The `tls` section of a listener.
pub static LISTEN_TLS: Section = Section {
    title: "[listen.tls]",
    doc: "TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1 by ALPN. The certificates are those of the sites. A request in clear text gets a 400 that names the reason.",
    groups: &[&[&MINIMUM_VERSION, &CLIENT_CERTIFICATES, &CLIENT_CA]],
};

static MINIMUM_VERSION: Key<At<String>> = Key::one_of(
    "minimum_version",
    &["1.2", "1.3"],
    "Oldest accepted version of TLS.",
)
.default("\"1.2\"");

static CLIENT_CERTIFICATES: Key<At<String>> = Key::one_of("client_certificates", &["off", "request", "require"], "Request for a certificate of the client. \"off\": none. \"request\": clients without one are served too. \"require\": clients without one are refused. A certificate that a client presents must be valid. PHP gets SSL_CLIENT_VERIFY, SSL_CLIENT_S_DN, SSL_CLIENT_S_DN_CN, SSL_CLIENT_I_DN and SSL_CLIENT_M_SERIAL.").default("\"off\"");

static CLIENT_CA: Key<Option<At<String>>> = Key::text("client_ca", "PEM file of the authorities that sign client certificates, an absolute path; read again when it changes.").example("\"/etc/tls/clients.pem\"");

/// ALPN protocols (RFC 7301), in order of preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

static NEWEST: [&SupportedProtocolVersion; 1] = [&TLS13];
static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// TLS acceptor of one listener.
#[derive(Debug)]
pub struct Acceptor {
    certificates: Arc<Certificates>,
    versions: &'static [&'static SupportedProtocolVersion],
    clients: Option<ClientVerification>,
    config: ArcSwap<ServerConfig>,
}

/// Verification of client certificates.
#[derive(Debug)]
struct ClientVerification {
    /// Refuses clients without a certificate.
    required: bool,
    authorities: PathBuf,
    /// State of the file at its last read.
    seen: Mutex<Option<Stamp>>,
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Accepted {
    /// The encrypted stream.
    pub stream: Stream,
    /// The negotiated parameters.
    pub facts: TlsFacts,
    /// HTTP/2 was chosen by ALPN.
    pub is_http2: bool,
}

impl Acceptor {
    /// Builds the acceptor from the `tls` section of a listener; unusable authorities are a problem.
    pub fn build(
        section: &Lowered,
        certificates: Arc<Certificates>,
        files: &Files,
        problems: &mut Problems,
    ) -> Option<Self> {
        let clients = match wanted(section) {
            Some(required) => Some(ClientVerification::build(
                section, required, files, problems,
            )?),
            None => None,
        };
        let versions = versions(section);
        match server_config(versions, clients.as_ref(), &certificates, files) {
            Ok(config) => Some(Self {
                config: ArcSwap::from_pointee(config),
                certificates,
                versions,
                clients,
            }),
            Err(error) => {
                problems.push(problem(section.place_of(&CLIENT_CA), &error));
                None
            }
        }
    }

    /// Performs the handshake. On a failure the client has got an alert.
    pub async fn accept(&self, stream: Stream) -> io::Result<Accepted> {
        let acceptor = TlsAcceptor::from(self.config.load_full());
        let mut stream = acceptor.accept(stream).await?;
        stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
        let connection = stream.get_ref().1;
        let is_http2 = connection.alpn_protocol() == PROTOCOLS.first().copied();
        Ok(Accepted {
            facts: facts(connection),
            is_http2,
            stream: Stream::Tls(Box::new(stream)),
        })
    }

    /// Reads the authorities again if their file has changed; `None` if it has not. Blocks.
    pub fn refresh(&self) -> Option<Result<PathBuf, PemError>> {
        let files = self.certificates.files();
        let verified = self.clients.as_ref();
        let clients = verified.filter(|clients| clients.has_changed(files))?;
        let built = server_config(self.versions, Some(clients), &self.certificates, files);
        Some(built.map(|config| {
            self.config.store(Arc::new(config));
            clients.authorities.clone()
        }))
    }
}

impl ClientVerification {
    fn build(
        section: &Lowered,
        required: bool,
        files: &Files,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(text) = section.get(&CLIENT_CA) else {
            if section.is_wrong(&CLIENT_CA) {
                return None;
            }
            let place = section.place_of(&CLIENT_CERTIFICATES);
            let problem = Problem::new(place, "client certificates need a `client_ca`");
            problems.push(
                problem
                    .help("client_ca = \"/etc/tls/clients.pem\": the authorities that sign them"),
            );
            return None;
        };
        let authorities = absolute_path(&text, problems)?;
        files.grant(&authorities);
        Some(Self {
            required,
            seen: Mutex::new(pem::stamp(&authorities, files)),
            authorities,
        })
    }

    fn has_changed(&self, files: &Files) -> bool {
        let now = pem::stamp(&self.authorities, files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, now) != now
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
        files: &Files,
    ) -> Result<Arc<dyn ClientCertVerifier>, PemError> {
        let roots = Arc::new(pem::authorities(&self.authorities, files)?);
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
        if !self.required {
            builder = builder.allow_unauthenticated();
        }
        builder
            .build()
            .map_err(|error| PemError::new(&self.authorities, error.to_string()))
    }
}

/// Reports whether client certificates are required; `None` if they are not requested.
fn wanted(section: &Lowered) -> Option<bool> {
    let wanted = section.get(&CLIENT_CERTIFICATES).value;
    (wanted != "off").then_some(wanted == "require")
}

fn versions(section: &Lowered) -> &'static [&'static SupportedProtocolVersion] {
    if section.get(&MINIMUM_VERSION).value == "1.3" {
        &NEWEST
    } else {
        &BOTH
    }
}

/// Builds the configuration of rustls. A session ticket carries the client certificate as verified. So
/// where clients are asked for one, the ticket keys belong to this listener and these authorities: no
/// session can be resumed where its certificate would not be accepted.
fn server_config(
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&ClientVerification>,
    certificates: &Arc<Certificates>,
    files: &Files,
) -> Result<ServerConfig, PemError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = match clients {
        Some(clients) => clients.verifier(&provider, files)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| PemError::new("TLS".as_ref(), error.to_string()))?;
    let resolver = Arc::clone(certificates);
    let mut config = builder
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    let ticketer = match clients {
        Some(_) => tickets(),
        None => certificates.tickets(),
    };
    if let Some(ticketer) = ticketer {
        config.ticketer = ticketer;
    }
    Ok(config)
}

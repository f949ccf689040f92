//! The TLS of one listener: what is asked of clients, and the handshake.

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
use crate::message::TlsFacts;
use crate::section::{At, Key, Lowered, Problem, Problems, Section, absolute_path};
use crate::stream::{Stream, TLS_BUFFER};

/// The `tls` section of a listener.
pub static LISTEN_TLS: Section = Section {
    title: "[listen.tls]",
    doc: "TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1 by ALPN. The certificates are those of the sites. A request in clear text gets a 400 that says so.",
    groups: &[&[&MINIMUM_VERSION, &CLIENT_CERTIFICATES, &CLIENT_CA]],
};

static MINIMUM_VERSION: Key<At<String>> = Key::one_of(
    "minimum_version",
    &["1.2", "1.3"],
    "The oldest version of TLS that is spoken.",
)
.default("\"1.2\"");

static CLIENT_CERTIFICATES: Key<At<String>> = Key::one_of("client_certificates", &["off", "request", "require"], "Whether clients show a certificate: \"request\" asks, and serves those without one too; \"require\" serves nobody without. One that is shown must be valid. PHP sees SSL_CLIENT_VERIFY, SSL_CLIENT_S_DN, SSL_CLIENT_S_DN_CN, SSL_CLIENT_I_DN and SSL_CLIENT_M_SERIAL.").default("\"off\"");

static CLIENT_CA: Key<Option<At<String>>> = Key::text("client_ca", "A PEM file with the authorities whose certificates clients may show, an absolute path; it is read again when it changes.").example("\"/etc/tls/clients.pem\"");

/// RFC 7301, in our order.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

static NEWEST: [&SupportedProtocolVersion; 1] = [&TLS13];
static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// Does the handshakes of one listener.
#[derive(Debug)]
pub struct Acceptor {
    certificates: Arc<Certificates>,
    versions: &'static [&'static SupportedProtocolVersion],
    clients: Option<Clients>,
    config: ArcSwap<ServerConfig>,
}

/// What certificates of clients are good for.
#[derive(Debug)]
struct Clients {
    /// Whether those without are turned away.
    required: bool,
    authorities: PathBuf,
    /// The file as it was when it was looked at last.
    seen: Mutex<Option<Stamp>>,
}

/// A connection whose handshake is done.
#[derive(Debug)]
pub struct Accepted {
    /// Encrypted from here on.
    pub stream: Stream,
    /// What was settled.
    pub facts: TlsFacts,
    /// Whether the two agreed on HTTP/2.
    pub is_http2: bool,
}

impl Acceptor {
    /// From the `tls` section of a listener; authorities that cannot be used are a problem.
    pub fn build(
        section: &Lowered,
        certificates: Arc<Certificates>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let clients = match wanted(section) {
            Some(required) => Some(Clients::build(section, required, problems)?),
            None => None,
        };
        let versions = versions(section);
        match server_config(versions, clients.as_ref(), &certificates) {
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

    /// The handshake. On a failure the client has been told by an alert.
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

    /// Reads the authorities again where their file has changed; `None` where it has not. Blocks.
    pub fn refresh(&self) -> Option<Result<PathBuf, PemError>> {
        let clients = self.clients.as_ref().filter(|clients| clients.changed())?;
        let built = server_config(self.versions, Some(clients), &self.certificates);
        Some(built.map(|config| {
            self.config.store(Arc::new(config));
            clients.authorities.clone()
        }))
    }
}

impl Clients {
    fn build(section: &Lowered, required: bool, problems: &mut Problems) -> Option<Self> {
        let Some(text) = section.get(&CLIENT_CA) else {
            if section.is_wrong(&CLIENT_CA) {
                return None;
            }
            let place = section.place_of(&CLIENT_CERTIFICATES);
            let problem = Problem::new(place, "client certificates need a `client_ca`");
            problems.push(
                problem.help("client_ca = \"/etc/tls/clients.pem\": whose signatures are believed"),
            );
            return None;
        };
        let authorities = absolute_path(&text, problems)?;
        Some(Self {
            required,
            seen: Mutex::new(pem::stamp(&authorities)),
            authorities,
        })
    }

    fn changed(&self) -> bool {
        let now = pem::stamp(&self.authorities);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, now) != now
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, PemError> {
        let roots = Arc::new(pem::authorities(&self.authorities)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
        let builder = match self.required {
            true => builder,
            false => builder.allow_unauthenticated(),
        };
        builder
            .build()
            .map_err(|error| PemError::new(&self.authorities, error.to_string()))
    }
}

/// Whether certificates of clients are required; `None` where they are not even asked for.
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

/// A ticket carries the client's certificate as verified. So where clients show one, tickets are
/// sealed with keys of this listener's and of these authorities' own: no session can be resumed
/// where its certificate would not be accepted.
fn server_config(
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Clients>,
    certificates: &Arc<Certificates>,
) -> Result<ServerConfig, PemError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = match clients {
        Some(clients) => clients.verifier(&provider)?,
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

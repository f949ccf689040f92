//! What a handshake settled, in the words that mod_ssl's variables have.

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, ProtocolVersion, ServerConnection};
use x509_parser::parse_x509_certificate;

use super::name;
use crate::message::{ClientCertificate, TlsFacts};

/// rustls' suites: OpenSSL's name, and the bits of the key.
const SUITES: [(CipherSuite, &str, &str); 9] = [
    (
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        "TLS_AES_256_GCM_SHA384",
        "256",
    ),
    (
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_128_GCM_SHA256",
        "128",
    ),
    (
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_CHACHA20_POLY1305_SHA256",
        "256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "128",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "256",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-RSA-AES256-GCM-SHA384",
        "256",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-RSA-AES128-GCM-SHA256",
        "128",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-RSA-CHACHA20-POLY1305",
        "256",
    ),
];

/// The facts of a connection whose handshake is done.
pub(super) fn facts(connection: &ServerConnection) -> TlsFacts {
    let suite = connection
        .negotiated_cipher_suite()
        .map(|suite| suite.suite());
    let known = SUITES.iter().find(|(known, ..)| Some(*known) == suite);
    let (cipher, key_bits) = known.map_or(("", ""), |(_, name, bits)| (*name, *bits));
    let protocol = if connection.protocol_version() == Some(ProtocolVersion::TLSv1_2) {
        "TLSv1.2"
    } else {
        "TLSv1.3"
    };
    let presented = connection.peer_certificates();
    TlsFacts {
        protocol,
        cipher,
        key_bits,
        server_name: connection.server_name().map(str::to_owned),
        client: presented.and_then(<[_]>::first).map(client),
    }
}

/// A certificate that was verified; one that x509-parser cannot read has no names.
fn client(certificate: &CertificateDer<'_>) -> ClientCertificate {
    match parse_x509_certificate(certificate) {
        Ok((_, parsed)) => ClientCertificate {
            subject: name::distinguished(parsed.subject()),
            common_name: name::common_name(parsed.subject()),
            issuer: name::distinguished(parsed.issuer()),
            serial: name::hexadecimal(parsed.raw_serial()),
        },
        Err(_) => ClientCertificate {
            subject: String::new(),
            common_name: None,
            issuer: String::new(),
            serial: String::new(),
        },
    }
}

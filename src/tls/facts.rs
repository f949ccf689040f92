//! What a handshake settled, in the words that mod_ssl's variables have.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, HandshakeKind, ProtocolVersion, ServerConnection};
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

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
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
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
            variables: variables(&parsed),
        },
        Err(_) => ClientCertificate {
            subject: String::new(),
            common_name: None,
            issuer: String::new(),
            serial: String::new(),
            variables: Vec::new(),
        },
    }
}

/// mod_ssl's StdEnvVars of a client's certificate that are no fields of their own.
fn variables(certificate: &X509Certificate<'_>) -> Vec<(String, String)> {
    let validity = certificate.validity();
    let remain = validity
        .time_to_expiration()
        .map_or(0, |left| left.whole_days());
    let mut variables = vec![
        ("SSL_CLIENT_V_START".to_owned(), time(validity.not_before)),
        ("SSL_CLIENT_V_END".to_owned(), time(validity.not_after)),
        ("SSL_CLIENT_V_REMAIN".to_owned(), remain.to_string()),
    ];
    variables.extend(name::parts("SSL_CLIENT_S_DN_", certificate.subject()));
    variables.extend(name::parts("SSL_CLIENT_I_DN_", certificate.issuer()));
    variables
}

/// As OpenSSL prints a time: `Nov  5 07:00:00 2026 GMT`.
fn time(time: ASN1Time) -> String {
    let printed = Timestamp::from_second(time.timestamp());
    printed.map_or_else(
        |_| String::new(),
        |time| time.strftime("%b %e %H:%M:%S %Y GMT").to_string(),
    )
}

//! Negotiated parameters of a handshake, as values of mod_ssl's variables.

use rustls::pki_types::CertificateDer;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::{CipherSuite, HandshakeKind, ProtocolVersion, ServerConnection};
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

use super::name;
use crate::message::{ClientCertificate, TlsFacts};

/// Cipher suites of rustls with OpenSSL's names and the key lengths in bits.
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

/// Returns the facts of a connection after its handshake.
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

/// Returns the data of a verified certificate; empty if x509-parser cannot read it.
fn client(certificate: &CertificateDer<'_>) -> ClientCertificate {
    match parse_x509_certificate(certificate) {
        Ok((_, parsed)) => ClientCertificate {
            subject: name::distinguished(parsed.subject()),
            issuer: name::distinguished(parsed.issuer()),
            serial: name::hexadecimal(parsed.raw_serial()),
            details: details(&parsed),
        },
        Err(_) => ClientCertificate {
            subject: String::new(),
            issuer: String::new(),
            serial: String::new(),
            details: Vec::new(),
        },
    }
}

/// Returns SSL_CLIENT_S_DN_x509, SSL_CLIENT_I_DN_x509 and SSL_CLIENT_V_… of mod_ssl's ssl_engine_vars.c.
fn details(certificate: &X509Certificate<'_>) -> Vec<(String, String)> {
    let named = |prefix: &'static str| {
        move |(keyword, value): (&'static str, String)| (format!("{prefix}{keyword}"), value)
    };
    let subject = name::parts(certificate.subject()).map(named("SSL_CLIENT_S_DN_"));
    let issuer = name::parts(certificate.issuer()).map(named("SSL_CLIENT_I_DN_"));
    let validity = certificate.validity();
    let (start, end) = (validity.not_before, validity.not_after);
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    let days = end.timestamp().saturating_sub(now).max(0) / 86_400;
    let times = [
        ("SSL_CLIENT_V_START".to_owned(), date(start)),
        ("SSL_CLIENT_V_END".to_owned(), date(end)),
        ("SSL_CLIENT_V_REMAIN".to_owned(), days.to_string()),
    ];
    subject.chain(issuer).chain(times).collect()
}

/// Formats a time as OpenSSL does: `Nov 25 06:26:13 2026 GMT`.
fn date(time: ASN1Time) -> String {
    let time = jiff::Timestamp::from_second(time.timestamp());
    time.map(|time| time.strftime("%b %e %H:%M:%S %Y GMT").to_string())
        .unwrap_or_default()
}

//! Apache's mod_ssl, as with `SSLOptions +StdEnvVars`: what PHP applications read of it, as far as
//! the handshake tells. Only what was settled with the client itself, never with a proxy in front.

use crate::fastcgi::params::ParamsEncoder;
use crate::message::TlsFacts;

/// Writes them.
pub(super) fn encode(params: &mut ParamsEncoder<'_>, facts: &TlsFacts) {
    params.pair(b"SSL_PROTOCOL", facts.protocol.as_bytes());
    params.pair(b"SSL_CIPHER", facts.cipher.as_bytes());
    // No suite of ours uses less of its key than it has.
    params.pair(b"SSL_CIPHER_USEKEYSIZE", facts.key_bits.as_bytes());
    params.pair(b"SSL_CIPHER_ALGKEYSIZE", facts.key_bits.as_bytes());
    params.pair(b"SSL_CIPHER_EXPORT", b"false");
    params.pair(b"SSL_COMPRESS_METHOD", b"NULL");
    params.pair(b"SSL_SECURE_RENEG", b"true");
    let session: &[u8] = if facts.resumed {
        b"Resumed"
    } else {
        b"Initial"
    };
    params.pair(b"SSL_SESSION_RESUMED", session);
    if let Some(name) = &facts.server_name {
        params.pair(b"SSL_TLS_SNI", name.as_bytes());
    }
    let Some(client) = &facts.client else {
        params.pair(b"SSL_CLIENT_VERIFY", b"NONE");
        return;
    };
    params.pair(b"SSL_CLIENT_VERIFY", b"SUCCESS");
    params.pair(b"SSL_CLIENT_S_DN", client.subject.as_bytes());
    params.pair(b"SSL_CLIENT_I_DN", client.issuer.as_bytes());
    params.pair(b"SSL_CLIENT_M_SERIAL", client.serial.as_bytes());
    for (name, value) in &client.details {
        params.pair(name.as_bytes(), value.as_bytes());
    }
}

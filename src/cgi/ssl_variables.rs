//! Variables of Apache's mod_ssl, as with `SSLOptions +StdEnvVars`: those that PHP applications read, as far as
//! the handshake supplies them. They describe the client's own connection, never that of a proxy in front.

use crate::fastcgi::params::encode_pair;
use crate::message::TlsFacts;

/// Encodes the variables.
pub(super) fn encode(pairs: &mut Vec<u8>, facts: &TlsFacts) {
    encode_pair(pairs, b"SSL_PROTOCOL", facts.protocol.as_bytes());
    encode_pair(pairs, b"SSL_CIPHER", facts.cipher.as_bytes());
    // No supported suite uses less of its key than it has.
    encode_pair(pairs, b"SSL_CIPHER_USEKEYSIZE", facts.key_bits.as_bytes());
    encode_pair(pairs, b"SSL_CIPHER_ALGKEYSIZE", facts.key_bits.as_bytes());
    encode_pair(pairs, b"SSL_CIPHER_EXPORT", b"false");
    encode_pair(pairs, b"SSL_COMPRESS_METHOD", b"NULL");
    encode_pair(pairs, b"SSL_SECURE_RENEG", b"true");
    let session: &[u8] = if facts.resumed {
        b"Resumed"
    } else {
        b"Initial"
    };
    encode_pair(pairs, b"SSL_SESSION_RESUMED", session);
    if let Some(name) = &facts.server_name {
        encode_pair(pairs, b"SSL_TLS_SNI", name.as_bytes());
    }
    let Some(client) = &facts.client else {
        encode_pair(pairs, b"SSL_CLIENT_VERIFY", b"NONE");
        return;
    };
    encode_pair(pairs, b"SSL_CLIENT_VERIFY", b"SUCCESS");
    encode_pair(pairs, b"SSL_CLIENT_S_DN", client.subject.as_bytes());
    encode_pair(pairs, b"SSL_CLIENT_I_DN", client.issuer.as_bytes());
    encode_pair(pairs, b"SSL_CLIENT_M_SERIAL", client.serial.as_bytes());
    for (name, value) in &client.details {
        encode_pair(pairs, name.as_bytes(), value.as_bytes());
    }
}

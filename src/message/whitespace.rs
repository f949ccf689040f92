//! Optional whitespace (OWS) around field values.

/// Removes the optional whitespace around a field value (RFC 9110 §5.5). HTTP/2 forbids it there (RFC 9113 §8.2.1)
/// but h2 passes it on, and PHP and the conditions must get the value without it.
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

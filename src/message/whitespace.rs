//! Whitespace around the value of a field, which is no part of it.

/// Returns a value without optional whitespace at its ends (RFC 9110 §5.5). HTTP/2 forbids it there (RFC 9113 §8.2.1)
/// and its library lets it through, so that PHP and every condition must be given the value without it.
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

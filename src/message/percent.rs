//! Percent-encoding (RFC 3986 §2.1) of names and values in a query.

use std::borrow::Cow;

/// Decodes the text, as PHP decodes names; a `%` without two digits is kept.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = digits.and_then(|digits| hexadecimal(*digits));
        decoded.push(byte.unwrap_or(*first));
        rest = match byte {
            Some(_) => after.get(2..).unwrap_or_default(),
            None => after,
        };
    }
    Cow::Owned(decoded)
}

/// Appends the encoded text: it can neither end its parameter nor begin another.
pub fn encode_into(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

fn hexadecimal(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text: Vec<u8>) {
            let mut encoded = Vec::new();
            encode_into(&mut encoded, &text);
            prop_assert!(!encoded.iter().any(|byte| b"&=#+ ?".contains(byte)));
            prop_assert_eq!(decode(&encoded), text);
        }
    }

    #[test]
    fn a_percent_sign_without_digits_is_kept() {
        for (text, expected) in [("a%2", "a%2"), ("%zz", "%zz"), ("%", "%"), ("%%61", "%a")] {
            assert_eq!(decode(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }
}

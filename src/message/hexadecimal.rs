//! Bytes as lower-case hexadecimal digits, the form of identifiers.

/// Writes two digits for each byte. Without `format!`, which takes fifteen times as long: they are written for every
/// call of a script.
pub(super) fn encode(bytes: &[u8], digits: &mut [u8]) {
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[byte >> 4, byte & 0xf].map(|half| match half {
            0..10 => b'0' + half,
            _ => b'a' + half - 10,
        }));
    }
}

/// Splits `N` bytes, as digits, from the front of `text`. `None` if it has fewer digits, or one in upper case.
pub(super) fn decode_front<const N: usize>(text: &[u8]) -> Option<([u8; N], &[u8])> {
    let (digits, rest) = text.split_at_checked(2 * N)?;
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | value(*digit)?;
        }
    }
    Some((bytes, rest))
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes: [u8; 8]) {
            let mut digits = [0; 16];
            encode(&bytes, &mut digits);
            prop_assert_eq!(decode_front(&digits), Some((bytes, &b""[..])));
        }
    }

    #[test]
    fn only_lower_case_digits_count() {
        for (text, expected) in [
            ("00ff", Some(([0x00, 0xff], ""))),
            ("00ff-x", Some(([0x00, 0xff], "-x"))),
            ("00FF", None),
            ("00f", None),
            ("00fg", None),
            (" 0ff", None),
        ] {
            let expected = expected.map(|(bytes, rest)| (bytes, rest.as_bytes()));
            assert_eq!(decode_front(text.as_bytes()), expected, "{text}");
        }
    }
}

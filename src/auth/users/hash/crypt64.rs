//! The base64 of crypt(3): an alphabet and an order of its own.

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Reports whether `text` has no other characters than those of the alphabet.
pub(super) fn is_encoded(text: &[u8]) -> bool {
    text.iter().all(|byte| ALPHABET.contains(byte))
}

/// Decodes a digest whose bytes are written in this order: by three, the last is the lowest, and the lowest bits
/// are written first. `None` where the text is not what encoding writes.
pub(super) fn decode(text: &[u8], order: &[u8]) -> Option<Box<[u8]>> {
    let mut digest = vec![0; order.len()];
    let mut rest = text;
    for places in order.chunks(3) {
        let (group, after) = rest.split_at_checked(places.len() + 1)?;
        rest = after;
        let mut bits = 0;
        for byte in group.iter().rev() {
            let value = ALPHABET.iter().position(|known| known == byte)?;
            bits = bits << 6 | value;
        }
        for place in places.iter().rev() {
            *digest.get_mut(usize::from(*place))? = u8::try_from(bits & 0xff).ok()?;
            bits >>= 8;
        }
        // Bits that no byte needs are zero.
        (bits == 0).then_some(())?;
    }
    rest.is_empty().then(|| digest.into())
}

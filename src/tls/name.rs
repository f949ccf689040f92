//! Distinguished names as text (RFC 4514), the format of mod_ssl since Apache 2.4.

use std::fmt::Write;

use x509_parser::asn1_rs::ToDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Attribute types of RFC 4514 §3, and the e-mail address of PKCS #9 under OpenSSL's name.
const KEYWORDS: [(&str, &str); 10] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// Attributes that mod_ssl has variables for (ssl_engine_vars.c).
const PARTS: [(&str, &str); 8] = [
    ("2.5.4.6", "C"),
    ("2.5.4.8", "ST"),
    ("2.5.4.7", "L"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.3", "CN"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "Email"),
];

/// Returns a name as text, the last relative name first (RFC 4514 §2.1).
pub(super) fn distinguished(name: &X509Name<'_>) -> String {
    let mut names: Vec<_> = name
        .iter_rdn()
        .map(|relative| {
            let attributes: Vec<_> = relative.iter().map(attribute).collect();
            attributes.join("+")
        })
        .collect();
    names.reverse();
    names.join(",")
}

/// Returns the attributes that mod_ssl has variables for, by its keywords: the last of each type.
pub(super) fn parts<'a>(
    name: &'a X509Name<'_>,
) -> impl Iterator<Item = (&'static str, String)> + 'a {
    PARTS.iter().filter_map(|(id, keyword)| {
        let attributes = name.iter_attributes();
        let named = attributes.filter(|attribute| attribute.attr_type().to_id_string() == *id);
        let value = named.last()?.as_str().ok()?;
        Some((*keyword, value.to_owned()))
    })
}

/// Returns bytes in upper-case hexadecimal, as OpenSSL prints a serial number.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let id = attribute.attr_type().to_id_string();
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == id);
    match (keyword, attribute.as_str()) {
        (Some((_, keyword)), Ok(value)) => format!("{keyword}={}", escape(value)),
        (None, Ok(value)) => format!("{id}={}", escape(value)),
        // RFC 4514 §2.4: a value without a string form is written as its encoding.
        (keyword, Err(_)) => {
            let encoded = attribute.attr_value().to_der_vec().unwrap_or_default();
            let name = keyword.map_or(id.as_str(), |(_, keyword)| keyword);
            format!("{name}=#{}", hexadecimal(&encoded))
        }
    }
}

/// Escapes a value (RFC 4514 §2.4), and control characters too, so that a name is one line in any log.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => escaped.extend(['\\', character]),
            ' ' if at == 0 || at == last => escaped.push_str("\\ "),
            '#' if at == 0 => escaped.push_str("\\#"),
            control if control.is_ascii_control() => {
                let _ = write!(escaped, "\\{:02X}", u32::from(control));
            }
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_are_escaped() {
        for (value, expected) in [
            ("James \"Jim\" Smith, III", "James \\\"Jim\\\" Smith\\, III"),
            (" a ", "\\ a\\ "),
            (" ", "\\ "),
            ("#a#", "\\#a#"),
            ("Before\rAfter", "Before\\0DAfter"),
            ("Lučić", "Lučić"),
        ] {
            assert_eq!(escape(value), expected);
        }
    }

    #[test]
    fn a_serial_number_is_upper_case_hexadecimal() {
        assert_eq!(hexadecimal(&[0, 0xAB, 0x0C]), "00AB0C");
    }
}

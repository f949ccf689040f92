//! Distinguished names as text, RFC 4514, which is how mod_ssl has shown them since Apache 2.4.

use std::fmt::Write;

use x509_parser::asn1_rs::ToDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// RFC 4514 §3, and what OpenSSL calls the e-mail address of PKCS #9.
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

/// mod_ssl's suffixes (ssl_engine_vars.c).
const VARIABLES: [(&str, &str); 8] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.8", "ST"),
    ("2.5.4.7", "L"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "Email"),
];

/// RFC 4514 §2.1: the last relative name first.
pub(super) fn distinguished(name: &X509Name<'_>) -> String {
    let relative = name.iter_rdn().map(|relative| {
        let attributes: Vec<_> = relative.iter().map(attribute).collect();
        attributes.join("+")
    });
    let relative: Vec<_> = relative.collect();
    relative.into_iter().rev().collect::<Vec<_>>().join(",")
}

/// The last common name.
pub(super) fn common_name(name: &X509Name<'_>) -> Option<String> {
    let last = name.iter_common_name().last()?;
    last.as_str().ok().map(str::to_owned)
}

/// Each kind of attribute that mod_ssl has a variable for, under `prefix`; the first of its kind. The
/// common name of a subject has a field of its own.
pub(super) fn parts(prefix: &str, name: &X509Name<'_>) -> Vec<(String, String)> {
    let subject = prefix == "SSL_CLIENT_S_DN_";
    let kinds = VARIABLES
        .iter()
        .filter(|(_, suffix)| !subject || *suffix != "CN");
    let part = |(id, suffix): &(&str, &str)| {
        let attribute = name
            .iter_attributes()
            .find(|attribute| attribute.attr_type().to_id_string() == *id)?;
        Some((
            format!("{prefix}{suffix}"),
            attribute.as_str().ok()?.to_owned(),
        ))
    };
    kinds.filter_map(part).collect()
}

/// Bytes in upper case, as OpenSSL shows a serial number.
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
        // RFC 4514 §2.4: what has no text is shown as its encoding.
        (keyword, Err(_)) => {
            let encoded = attribute.attr_value().to_der_vec().unwrap_or_default();
            let name = keyword.map_or(id.as_str(), |(_, keyword)| keyword);
            format!("{name}=#{}", hexadecimal(&encoded))
        }
    }
}

/// RFC 4514 §2.4. Control characters are escaped too, so that a name is one line in any log.
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

//! Tables of Accept-Encoding fields, and properties of any field.

use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::{any, prop, proptest};
use proptest::prop_assert;

use super::{Accepted, Coding, qvalue};

fn accepted(values: &[&[u8]]) -> Accepted {
    let mut fields = HeaderMap::new();
    for value in values {
        let value = HeaderValue::from_bytes(value).unwrap();
        fields.append(header::ACCEPT_ENCODING, value);
    }
    Accepted::of(&fields)
}

fn names(text: &str) -> String {
    let ranked = accepted(&[text.as_bytes()]).ranked(&Coding::ALL);
    let names: Vec<_> = ranked.into_iter().map(Coding::name).collect();
    names.join(" ")
}

#[test]
fn what_is_wanted_comes_first() {
    for (field, expected) in [
        ("gzip, deflate, br, zstd", "br zstd gzip"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP;Q=0.5, BR;q=0.4", "gzip br"),
        ("gzip;q=1.000, br;q=0.999", "gzip br"),
        ("gzip;q=0.001", "gzip"),
        ("gzip;q=0", ""),
        ("gzip ; q=0.2 ,\tbr", "br gzip"),
        ("*", "br zstd gzip"),
        ("*;q=0.5, gzip", "gzip br zstd"),
        ("*, br;q=0", "zstd gzip"),
        ("*;q=0, gzip", "gzip"),
        ("", ""),
        ("identity", ""),
        ("deflate, compress, dcb", ""),
        // Identity is preferred.
        ("identity, gzip;q=0.5", ""),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0.5, gzip;q=0.4, br;q=0.6", "br"),
        ("identity;q=0, gzip", "gzip"),
        // The lower of two; malformed members are ignored.
        ("gzip, gzip;q=0", ""),
        ("gzip;q=0.5;q=0.5", "gzip"),
        ("gzip;q=2, br;q=, zstd;q=0.1234", ""),
        ("gzip;level=9, br", "br"),
        (",,gzip,,", "gzip"),
    ] {
        assert_eq!(names(field), expected, "{field:?}");
    }
}

#[test]
fn several_fields_are_one_list() {
    let both = accepted(&[b"gzip;q=0.1", b"zstd"]);
    assert_eq!(both.ranked(&Coding::ALL), [Coding::Zstd, Coding::Gzip]);
    assert_eq!(both.ranked(&[Coding::Gzip]), [Coding::Gzip]);
    assert!(
        Accepted::of(&HeaderMap::new())
            .ranked(&Coding::ALL)
            .is_empty()
    );
}

#[test]
fn identity_is_refused_by_name_or_with_all() {
    for (field, refused) in [
        ("identity;q=0", true),
        ("*;q=0", true),
        ("*;q=0, identity;q=0.1", false),
        ("gzip, identity;q=0.0", true),
        ("gzip", false),
        ("", false),
    ] {
        assert_eq!(
            accepted(&[field.as_bytes()]).refuses_identity(),
            refused,
            "{field:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_field_is_too_strange(bytes in prop::collection::vec(0x20_u8..0x7f, 0..80)) {
        let accepted = accepted(&[&bytes]);
        let ranked = accepted.ranked(&Coding::ALL);
        // Every ranked coding has a weight, and the order is that of the weights.
        prop_assert!(ranked.iter().all(|coding| accepted.weight(*coding) > 0));
        prop_assert!(ranked.is_sorted_by_key(|coding| std::cmp::Reverse(accepted.weight(*coding))));
    }

    #[test]
    fn weights_are_read_as_they_are_written(weight in 0_u16..=1000, short in any::<bool>()) {
        let mut text = format!("{}.{:03}", weight / 1000, weight % 1000);
        if short {
            text.truncate(text.trim_end_matches('0').len().max(2));
        }
        prop_assert!(qvalue(text.as_bytes()) == Some(weight), "{text}");
        let gzip = names(&format!("gzip;q={text}"));
        prop_assert!(gzip.is_empty() == (weight == 0));
    }
}

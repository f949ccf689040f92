//! PHP 8's parsing of queries and cookies.

use proptest::prelude::*;

use super::*;

fn texts(values: &PhpValues) -> Vec<String> {
    let texts = values.iter().map(|text| text.escape_ascii().to_string());
    texts.collect()
}

fn name(text: &str) -> PhpName {
    PhpName::parse(text.as_bytes()).unwrap()
}

/// Expectations observed with PHP 8.2; `it::php_names` asks the real one.
#[test]
fn queries_are_read_as_php_reads_them() {
    for (query, wanted, expected) in [
        ("", "page", &[] as &[&str]),
        ("page=1", "page", &["1"]),
        ("page", "page", &[""]),
        ("page=1=2", "page", &["1=2"]),
        ("page=1&&page=2", "page", &["2"]),
        ("PAGE=1&pages=1&xpage=1", "page", &[]),
        ("p%61ge=%31", "page", &["1"]),
        ("%20page=1", "page", &["1"]),
        ("+++page=1", "page", &["1"]),
        ("page%00x=1", "page", &["1"]),
        ("%00page=1&=1&[page]=1", "page", &[]),
        ("page+=1", "page", &[]),
        ("page;a=1", "page", &[]),
        ("page=1%002", "page", &["1\\x002"]),
        ("page=%ff%zz%+a", "page", &["\\xff%zz% a"]),
        ("a.b=1", "a_b", &["1"]),
        ("a+b=1", "a.b", &["1"]),
        ("a[b=1", "a b", &["1"]),
        ("a[b.c+[d=1", "a_b_c__d", &["1"]),
        ("page[]=1&page[]=2", "page", &["1", "2"]),
        ("page[]=1&page[]=2", "page[]", &["1", "2"]),
        ("page[a][b]=1&page[a][]=2", "page", &["2", "1"]),
        ("page=1&page[a]=2", "page", &["2"]),
        ("page[a]=2&page=1", "page", &["1"]),
        ("page[a]x[b]=1", "page[a]", &["1"]),
        ("page[a][b=1", "page[a]", &["1"]),
        ("page[%20]=1&page[%09]=2", "page[1]", &["2"]),
        ("page[%20a]=1", "page[ a]", &["1"]),
        ("page[5]=1&page[]=2", "page[6]", &["2"]),
        ("page[05]=1&page[]=2", "page[0]", &["2"]),
        ("page[-5]=1&page[]=2", "page[0]", &["2"]),
        ("page[9223372036854775807]=1&page[]=2", "page", &["1"]),
        ("page[a]=1", "page[b]", &[]),
        ("page=1", "page[a]", &[]),
        ("_.Host-a=1&..Secure-a=1", "__Host-a", &[]),
        ("__Host-a=1", "__Host-a", &["1"]),
    ] {
        let found = name(wanted).in_query(query);
        assert_eq!(texts(&found), expected, "{query} {wanted}");
    }
}

#[test]
fn cookies_are_read_as_php_reads_them() {
    for (fields, wanted, expected) in [
        (&["a=1; b=2;a=3"] as &[&str], "a", &["1"] as &[&str]),
        (&["b=2", "a=1", "a=2"], "a", &["1"]),
        (&["\t a=1"], "a", &["1"]),
        (&["ab=1; xa=2; =a; a "], "a", &[]),
        (&["a"], "a", &[""]),
        (&["a=x=y"], "a", &["x=y"]),
        (&["a=%41+b"], "a", &["A+b"]),
        (&["%61=1"], "a", &[]),
        (&["a.b=1"], "a_b", &["1"]),
        (&["a[x]=1; a=2"], "a", &["1"]),
        (&["a=1; a[x]=2"], "a", &["2"]),
        (&["_.Secure-a=1"], "__Secure-a", &[]),
    ] {
        let fields = fields.iter().map(|field| field.as_bytes());
        let found = name(wanted).in_cookies(fields);
        assert_eq!(texts(&found), expected, "{wanted}");
    }
}

#[test]
fn values_beyond_the_limit_of_php_count_too() {
    let others = "x&".repeat(MAX_VARIABLES - 1);
    let query = format!("page=admin&{others}page=safe");
    assert_eq!(texts(&name("page").in_query(&query)), ["admin", "safe"]);
    let query = format!("page=admin&{}page=safe", "x&".repeat(MAX_VARIABLES - 2));
    assert_eq!(texts(&name("page").in_query(&query)), ["safe"]);
}

#[test]
fn arrays_that_are_too_deep_remove_their_variable() {
    let query = |depth: usize| format!("page=1&page{}=2", "[a]".repeat(depth));
    assert_eq!(texts(&name("page").in_query(&query(MAX_DEPTH))), ["2"]);
    let too_deep = query(MAX_DEPTH + 1);
    assert_eq!(texts(&name("page").in_query(&too_deep)), [""; 0]);
}

#[test]
fn names_that_no_variable_has_are_none() {
    for text in ["", " ", "[a]", "..Host-a", "_.Secure-a"] {
        assert_eq!(PhpName::parse(text.as_bytes()), None, "{text}");
    }
}

proptest! {
    #[test]
    fn no_variable_is_missed_by_the_first_look(spelled in "[ab._ \\[\\]%0-2]{0,8}", wanted in "[ab_]{1,4}") {
        let wanted = name(&wanted);
        let bytes: Vec<u8> = Decoded::new(spelled.as_bytes(), Plus::IsSpace).collect();
        if let ParsedName::Variable { top, .. } = ParsedName::read(&bytes) {
            let is_it = top == wanted.top;
            let looked = wanted.may_be(bytes.iter().copied());
            prop_assert!(looked || !is_it, "{} {:?}", spelled, wanted);
        }
    }

    #[test]
    fn no_query_is_too_much(query in "[a\\[\\]&=%.0-9]{0,60}") {
        texts(&name("a").in_query(&query));
        texts(&name("a[a]").in_cookies(std::iter::once(query.as_bytes())));
    }
}

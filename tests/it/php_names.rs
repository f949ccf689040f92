//! `query` and `cookie` conditions beside a real PHP: whatever it has in $_GET and $_COOKIE, they see.

use serde_json::Value;

use crate::harness::{Gateway, PhpFpm, Request};

/// The conditions: a field that an answer has if one holds, the name as PHP has it, and its keys.
const NAMES: [(&str, &str, &[&str]); 4] = [
    ("page", "page", &["page"]),
    ("dotted", "a.b", &["a_b"]),
    ("element", "f[x]", &["f", "x"]),
    ("indexed", "f[0]", &["f", "0"]),
];

/// Each condition on the name alone and on a value, of both kinds.
fn rules() -> String {
    let mut rules = String::new();
    for (field, name, _) in NAMES {
        for kind in ["query", "cookie"] {
            for (end, value) in [("there", ""), ("denied", ", value = \"no\"")] {
                rules += &format!(
                    "[[site.rule]]\n{kind} = {{ name = \"{name}\"{value} }}\nresponse_headers = {{ set = {{ X-{kind}-{field}-{end} = \"1\" }} }}\n"
                );
            }
        }
    }
    rules
}

/// Binary values are not shown; whether one is "no" is all that is asked.
const SHOW: &str = "<?php header('Content-Type: application/json'); echo json_encode(['query' => $_GET, 'cookie' => $_COOKIE], JSON_PARTIAL_OUTPUT_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);";

/// What is at the keys of what PHP has.
fn find<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().try_fold(value, |value, key| {
        let index = || value.get(key.parse::<usize>().ok()?);
        value.get(key).or_else(index)
    })
}

fn has(value: &Value, text: &str) -> bool {
    if let Some(elements) = value.as_array() {
        return elements.iter().any(|element| has(element, text));
    }
    match value.as_object() {
        Some(elements) => elements.values().any(|element| has(element, text)),
        None => value == text,
    }
}

/// Compares every condition with PHP, and returns how many hold.
async fn check(gateway: &Gateway, query: &str, cookie: &str) -> usize {
    let request = Request::get(&format!("/show.php?{query}")).field("Cookie", cookie);
    let response = gateway.send(&request).await;
    let php = response.json();
    let mut holding = 0;
    for kind in ["query", "cookie"] {
        for (field, _, keys) in NAMES {
            let found = find(&php[kind], keys);
            let denied = found.is_some_and(|found| has(found, "no"));
            for (end, expected) in [("there", found.is_some()), ("denied", denied)] {
                let name = format!("x-{kind}-{field}-{end}");
                let held = response.header(&name).is_some();
                holding += usize::from(held);
                assert_eq!(held, expected, "{name}: ?{query} and {cookie:?}: {php}");
            }
        }
    }
    holding
}

/// 70 ways to say `page=no`, or nearly.
const SPELLINGS: [&str; 70] = [
    "page=no",
    "page=%6eo",
    "page=n%6F",
    "%70age=no",
    "p%61ge=no",
    "%70%61%67%65=%6e%6f",
    "%20page=no",
    "+page=no",
    "+%20+page=no",
    "page%00=no",
    "page%00x=no",
    "page%00[x]=no",
    "page=no%00",
    "page+=no",
    "page%20=no",
    "page.=no",
    "page[=no",
    "page[]=no",
    "page[0]=no",
    "page[x]=no",
    "page[x][y]=no",
    "page[][]=no",
    "page[%20]=no",
    "page[+]=no",
    "page[%09]=no",
    "page[x=no",
    "page[x]y=no",
    "page]=no",
    "page[]]=no",
    "page[[]=no",
    "page%5B%5D=no",
    "page%5b=no",
    "[page]=no",
    "page[x]=1&page=no",
    "page=no&page=1",
    "page=1&page=no",
    "page=no&page[]=1",
    "page[]=1&page[]=no",
    "page[]=no&page=1",
    "page[a]=no&page[a]=1",
    "page[a]=no&page[a][b]=1",
    "&page=no",
    "&&page=no&",
    "page=no&&",
    "x&page=no",
    "page=no;x=1",
    "x=1;page=no",
    "page;=no",
    "Page=no",
    "PAGE=no",
    "page=NO",
    "page=no+",
    "page=+no",
    "page=no=",
    "page==no",
    "=page=no",
    "page%3Dno",
    "page%3dno=1",
    "page%26=no",
    "page=n%o",
    "p%age=no",
    "p%6=no",
    "%page=no",
    "page%=no",
    "page%zz=no",
    "pa+ge=no",
    "pa%2Bge=no",
    "page%0A=no",
    "%0Apage=no",
    "%09page=no",
];

#[tokio::test]
async fn no_spelling_of_a_name_gets_past_a_condition() {
    let php = PhpFpm::start(2).await;
    php.write("show.php", SHOW);
    let gateway = Gateway::start(&(php.site() + &rules())).await;
    let mut holding = 0;
    for spelling in SPELLINGS {
        holding += check(&gateway, spelling, &spelling.replace('&', "; ")).await;
        let other = spelling.replace("page", "a.b");
        holding += check(&gateway, &other, &other.replace('&', ";")).await;
        holding += check(&gateway, &spelling.replace("page", "f"), "f[x]=no").await;
    }
    assert!(holding > SPELLINGS.len(), "{holding} held");
}

#[tokio::test]
async fn random_queries_and_cookies_are_read_as_php_reads_them() {
    const PIECES: [&str; 24] = [
        "page", "a.b", "a_b", "a", "f", "x", "0", "7", "no", "[", "]", "[x]", "[0]", "[]", "=",
        "=no", "&", "%20", "+", "%00", "%5b", ".", "_", "%",
    ];
    let php = PhpFpm::start(2).await;
    php.write("show.php", SHOW);
    let gateway = Gateway::start(&(php.site() + &rules())).await;
    // The same in each run: a failure can be repeated.
    let mut state = 18_u64;
    let mut draw = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut holding = 0;
    for _ in 0..1500 {
        let length = 1 + draw(12);
        let text: String = (0..length).map(|_| PIECES[draw(PIECES.len())]).collect();
        holding += check(&gateway, &text, &text.replace('&', ";")).await;
    }
    assert!(holding > 100, "{holding} held");
}

//! Parsing, refusal and expansion of templates.

use std::borrow::Cow;

use http::HeaderName;
use proptest::prelude::*;

use super::*;

/// Captures of `^/(?<lang>..)/(x)?(.*)$` on `/de/a b.php`.
struct Example;

impl Values for Example {
    fn capture(&self, index: usize) -> Option<&[u8]> {
        let groups: [Option<&[u8]>; 4] =
            [Some(b"/de/a b.php"), Some(b"de"), None, Some(b"a b.php")];
        groups.get(index).copied().flatten()
    }

    fn named(&self, name: &str) -> Option<&[u8]> {
        (name == "lang").then_some(b"de".as_slice())
    }

    fn variable(&self, variable: Variable) -> Cow<'_, [u8]> {
        let text: &[u8] = match variable {
            Variable::Path => b"/de/a b.php",
            Variable::Rest => b"a b.php",
            Variable::Query => b"q=1",
            Variable::Host => b"example.org",
            Variable::Scheme => b"https",
            Variable::Uri => b"/de/a%20b.php?q=1",
            Variable::Method => b"\xffGET",
            Variable::Port => b"8443",
            Variable::Protocol => b"HTTP/1.1",
            Variable::RemoteAddr => b"192.0.2.1",
            Variable::RemotePort => b"4711",
            Variable::RemoteUser => b"alice",
            Variable::RequestId => b"00ff",
        };
        text.into()
    }

    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        (name == "x-tenant").then_some(b"acme".as_slice())
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        (name == "lang").then_some(b"fr".as_slice())
    }
}

fn three_groups() -> Groups {
    Groups::new(3, vec!["lang".to_owned()])
}

fn check(text: &str, expected: &[u8]) {
    let template = Template::parse(text, &three_groups()).unwrap();
    assert_eq!(
        template.expand(&Example).escape_ascii().to_string(),
        expected.escape_ascii().to_string(),
        "{text}"
    );
}

#[test]
fn variables_become_values() {
    check("", b"");
    check("/srv/app", b"/srv/app");
    check("/$1", b"/de");
    check("$0", b"/de/a b.php");
    check("[$2]", b"[]");
    check("$12", b"de2");
    check("${1}2", b"de2");
    check("$1$3", b"dea b.php");
    check("${lang}/$lang/", b"de/de/");
    check(
        "$scheme://$host$uri",
        b"https://example.org/de/a%20b.php?q=1",
    );
    check(
        "${path}info?${query}&r=$rest",
        b"/de/a b.phpinfo?q=1&r=a b.php",
    );
    check("$method", b"\xffGET");
    check("a$$1$$", b"a$1$");
    check("\u{e4}$1\u{e4}", "\u{e4}de\u{e4}".as_bytes());
}

fn refused(text: &str, groups: &Groups, offset: usize, message: &str) {
    let error = Template::parse(text, groups).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.offset),
        (message, offset),
        "{text}"
    );
}

#[test]
fn groups_that_the_pattern_lacks_are_refused() {
    let none = "`$1` has no value here, as the rule has no pattern: add a `match`, or write `$$` for a `$`";
    refused("/$1", &Groups::default(), 1, none);
    let zero = "unknown group `$1`: the pattern has none, only `$0`, the whole match";
    refused("/$1", &Groups::new(0, Vec::new()), 1, zero);
    refused(
        "$2",
        &Groups::new(1, Vec::new()),
        0,
        "unknown group `$2`: the pattern has only `$1`",
    );
    refused(
        "$1/$4",
        &three_groups(),
        3,
        "unknown group `$4`: the pattern has `$1` to `$3`",
    );
    let twelve = Groups::new(12, Vec::new());
    refused(
        "${13}",
        &twelve,
        0,
        "unknown group `$13`: the pattern has `$1` to `${12}`",
    );
    assert!(Template::parse("${12}$0", &twelve).is_ok());
    let huge = "${99999999999999999999}";
    refused(
        huge,
        &twelve,
        0,
        "unknown group `$99999999999999999999`: the pattern has `$1` to `${12}`",
    );
}

#[test]
fn unknown_names_are_refused_with_a_suggestion() {
    let groups = three_groups();
    refused(
        "/$pth",
        &groups,
        1,
        "unknown variable `$pth`: did you mean `$path`?",
    );
    refused(
        "${lnag}",
        &groups,
        0,
        "unknown variable `$lnag`: did you mean `$lang`?",
    );
    refused(
        "$pathinfo",
        &groups,
        0,
        "unknown variable `$pathinfo`: write `${path}info`",
    );
    let all = "unknown variable `$frobnicate`: known variables are `$path`, `$rest`, `$query`, `$host`, `$port`, `$scheme`, `$protocol`, `$uri`, `$method`, `$remote_addr`, `$remote_port`, `$remote_user`, `$request_id`, `$root`, `$lang`";
    refused("$frobnicate", &groups, 0, all);
    let both = "`$path` is a variable and a group of the pattern: rename the group";
    refused("${path}", &Groups::new(1, vec!["path".to_owned()]), 0, both);
}

#[test]
fn a_dollar_without_meaning_is_refused_with_the_fix() {
    let groups = three_groups();
    for (text, offset) in [
        ("100$", 3),
        ("a$ b", 1),
        ("$-x", 0),
        ("$\u{e4}", 0),
        ("$1$", 2),
    ] {
        refused(text, &groups, offset, LONE_DOLLAR);
    }
    refused(
        "a${path",
        &groups,
        1,
        "`${` has no `}`: close it, or write `$$` for a `$`",
    );
    let neither =
        "`${1a}` is neither a number nor a name: write `${1}`, `${name}`, or `$$` for a `$`";
    refused("${1a}", &groups, 0, neither);
    assert!(Template::parse("${}", &groups).is_err());
    assert!(Template::parse("${a-b}", &groups).is_err());
}

#[test]
fn request_values_and_the_environment_are_expanded() {
    check("/${header:X-Tenant}/${header:X-None}", b"/acme/");
    check("${cookie:lang}${cookie:none}", b"fr");
    check("$remote_addr:$remote_port", b"192.0.2.1:4711");
    check(
        "$host:$port $protocol $request_id",
        b"example.org:8443 HTTP/1.1 00ff",
    );
    let names = Groups::default()
        .with_root(Some("/srv/app".to_owned()))
        .with_environment(|name| match name {
            "TENANT" => Some("acme $1".to_owned()),
            "BROKEN" => Some("a\nb".to_owned()),
            _ => None,
        });
    let template = Template::parse("$root/${env:TENANT}", &names).unwrap();
    assert_eq!(template.expand(&Example), b"/srv/app/acme $1");
    let unset =
        "the environment variable NONE is not set: set it in the environment of the gateway";
    refused("/${env:NONE}", &names, 1, unset);
    assert!(Template::parse("${env:BROKEN}", &names).is_err());
    let none = "`$root` has no value here: the site has no `root`";
    refused("$root/x", &Groups::default(), 0, none);
    let kinds = "unknown source `${head:…}`: known are `${header:NAME}`, `${cookie:NAME}` and `${env:NAME}`";
    refused("${head:x}", &names, 0, kinds);
    refused(
        "${header:a b}",
        &names,
        0,
        "`a b` is not the name of a header",
    );
    refused("${cookie:}", &names, 0, "`` is not the name of a cookie");
}

#[test]
fn a_path_of_the_disk_has_a_folder_that_is_known() {
    let names = three_groups().with_root(Some("/srv/app".to_owned()));
    let split = |text: &str| {
        let template = Template::parse(text, &names).unwrap();
        let (folder, below) = template.split_folder(Some("/srv/app"))?;
        let below = String::from_utf8(below.expand(&Example)).unwrap();
        Some((folder, below))
    };
    for (text, folder, below) in [
        ("$root$path", "/srv/app", "/de/a b.php"),
        ("$root/$1.html", "/srv/app", "/de.html"),
        ("/srv/app/down", "/srv/app", "/down"),
        ("/srv/application/down", "/srv/application", "/down"),
        ("/data$path", "/data", "/de/a b.php"),
        ("/data/cache-$1/x", "/data", "/cache-de/x"),
        ("/$1", "/", "/de"),
        ("$root", "/srv/app", ""),
    ] {
        let expected = Some((folder.to_owned(), below.to_owned()));
        assert_eq!(split(text), expected, "{text}");
    }
    assert_eq!(split("$path"), None);
    assert_eq!(split("srv/$1"), None);
}

proptest! {
    #[test]
    fn any_text_can_be_written_literally(text: String) {
        let template = Template::parse(&text.replace('$', "$$"), &Groups::default()).unwrap();
        prop_assert_eq!(template.pieces, if text.is_empty() { vec![] } else { vec![super::Piece::Literal(text)] });
    }

    #[test]
    fn an_error_points_at_a_dollar(text in "[$a-c1{} ]{0,12}") {
        if let Err(error) = Template::parse(&text, &Groups::default()) {
            prop_assert_eq!(text.as_bytes()[error.offset], b'$');
        }
    }
}

#[test]
fn a_template_is_split_at_literals_only() {
    let groups = Groups::new(2, Vec::new());
    for (text, before, after) in [
        ("/a", "/a", None),
        ("/a?b", "/a", Some("b")),
        ("/a?", "/a", Some("")),
        ("?a?b", "", Some("a?b")),
        ("/$1?x=$2", "/${1}", Some("x=${2}")),
        ("$query$1?", "${query}${1}", Some("")),
        ("", "", None),
    ] {
        let (own, rest) = Template::parse(text, &groups).unwrap().split_once('?');
        let rest = rest.map(|rest| rest.to_string());
        assert_eq!(
            (own.to_string().as_str(), rest.as_deref()),
            (before, after),
            "{text}"
        );
        assert_eq!(own.is_empty(), before.is_empty(), "{text}");
    }
}

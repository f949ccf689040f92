//! Matching and non-matching requests for each condition.

use std::collections::BTreeSet;
use std::sync::Arc;

use toml::de::DeTable;

use super::*;
use crate::message::request::Origin;
use crate::message::{EncodedSlash, Found, Host, RequestId, Root, Scheme, Target, Upload, Wire};
use crate::route::Rule;
use crate::route::template::Groups;
use crate::section::{Problem, Problems};

/// Files and, with a slash at their end, folders.
#[derive(Debug)]
struct Files(BTreeSet<&'static str>);

impl Files {
    fn has(&self, root: &Root, path: &[u8], slash: &str) -> bool {
        let path = String::from_utf8_lossy(path).into_owned();
        let full = format!("{}{path}{slash}", root.0.display());
        self.0.contains(full.as_str())
    }
}

impl Disk for Files {
    fn open(&self, _: &Root, _: &[u8]) -> Found {
        Found::Missing
    }

    fn is_file(&self, root: &Root, path: &[u8]) -> bool {
        self.has(root, path, "")
    }

    fn is_directory(&self, root: &Root, path: &[u8]) -> bool {
        self.has(root, path, "/")
    }
}

fn disk() -> Files {
    Files(BTreeSet::from([
        "/srv/app/a.txt",
        "/srv/app/img/",
        "/srv/down",
        "/srv/app/de.html",
    ]))
}

/// Parses `GET /path`, with further fields as `Name: value` lines.
fn request(head: &str) -> Request {
    let mut lines = head.lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let mut builder = http::Request::builder().method(method);
    let (mut scheme, mut remote, mut host) = (Scheme::Http, "192.0.2.1:4711", "example.org");
    for line in lines {
        match line.split_once(": ").unwrap() {
            ("scheme", _) => scheme = Scheme::Https,
            ("remote", address) => remote = address,
            ("host", name) => host = name,
            (name, value) => builder = builder.header(name, value),
        }
    }
    let (parts, ()) = builder.body(()).unwrap().into_parts();
    let wire = Wire {
        scheme,
        ..Wire::tcp(remote.parse().unwrap(), "127.0.0.1:80".parse().unwrap())
    };
    let origin = Origin {
        host: Host::parse(host).unwrap(),
        canonical: None,
        wire: Arc::new(wire),
        id: RequestId::new(1, 2),
    };
    let target = Target::parse(target, EncodedSlash::Reject).unwrap();
    Request::new(parts, target, Upload::Empty, origin)
}

/// Builds the set of these lines of a rule; returns it with problems and warnings.
fn built(lines: &str) -> (Set, Vec<String>, Vec<String>) {
    let mut problems = Problems::default();
    let table = DeTable::parse(lines).unwrap();
    let names = Groups::default().with_root(Some("/srv/app".to_owned()));
    let place = crate::section::Place::default();
    let section = nested::SETS.lower(table.get_ref(), place, &|_| None, &mut problems);
    let set = Set::build(&section, &names, &mut problems);
    let texts = |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.message);
    let warnings = texts(problems.take_warnings()).collect();
    (set, texts(problems.into_sorted()).collect(), warnings)
}

/// Checks whether a rule of these lines matches each request.
fn check(lines: &str, cases: &[(&str, bool)]) {
    let (set, errors, warnings) = built(lines);
    assert_eq!((errors, warnings), (vec![], vec![]), "{lines}");
    let rule = Rule::when(set, ());
    for (head, expected) in cases {
        let matched = rule.matches(&request(head), &disk()).unwrap();
        assert_eq!(matched.is_some(), *expected, "{lines}: {head}");
    }
}

#[test]
fn scheme_and_remote() {
    let cases = [("GET /", false), ("GET /\nscheme: https", true)];
    check("scheme = 'https'", &cases);
    check(
        "scheme = 'http'",
        &cases.map(|(head, holds)| (head, !holds)),
    );
    check("not = { scheme = 'http' }", &cases);
    check(
        "remote = ['10.0.0.0/8', '2001:db8::1']",
        &[
            ("GET /\nremote: 10.1.2.3:1", true),
            ("GET /\nremote: 11.1.2.3:1", false),
            ("GET /\nremote: [::ffff:10.1.2.3]:1", true),
            ("GET /\nremote: [2001:db8::1]:1", true),
            ("GET /\nremote: [2001:db8::2]:1", false),
        ],
    );
}

#[test]
fn header_query_and_cookie() {
    check(
        "header = { name = 'X-A', value = ['1', 'two'] }",
        &[
            ("GET /", false),
            ("GET /\nX-A: 1", true),
            ("GET /\nx-a: two", true),
            ("GET /\nX-A: Two", false),
            ("GET /\nX-A: 3\nX-A: 1", true),
            ("GET /\nX-B: 1", false),
            // HTTP/2 carries whitespace that PHP does not receive.
            ("GET /\nX-A: \t1 ", true),
        ],
    );
    check(
        "header = { name = 'X-A' }",
        &[("GET /\nX-A: ", true), ("GET /", false)],
    );
    check(
        "header = { name = 'Accept', match = '(?i)json$' }",
        &[
            ("GET /\nAccept: text/JSON", true),
            ("GET /\nAccept: json, a", false),
        ],
    );
    check(
        "query = { name = 'page id', match = '^\\d+$' }",
        &[
            ("GET /?page+id=12", true),
            ("GET /?page%20id=%31%32", true),
            ("GET /?page+id=x&page%20id=1", true),
            ("GET /?page+id=x", false),
            ("GET /", false),
        ],
    );
    check(
        "query = { name = 'debug' }",
        &[("GET /?debug", true), ("GET /?bug", false)],
    );
    check(
        "cookie = { name = 'beta', value = '1' }",
        &[
            ("GET /\nCookie: a=b; beta=1", true),
            ("GET /\nCookie: a=b\nCookie: beta=1", true),
            ("GET /\nCookie: beta=1 \nCookie: a=b", true),
            ("GET /\nCookie: xbeta=1", false),
            ("GET /\nCookie: beta=12", false),
            ("GET /?beta=1", false),
        ],
    );
}

#[test]
fn exists_looks_at_the_disk() {
    check(
        "exists = { file = '$root$path' }",
        &[
            ("GET /a.txt", true),
            ("GET /%61.txt", true),
            ("GET /img", false),
            ("GET /b", false),
        ],
    );
    check(
        "exists = { directory = '$root$path' }",
        &[("GET /img", true), ("GET /a.txt", false)],
    );
    check(
        "exists = { any = '/srv/app$path' }",
        &[("GET /img", true), ("GET /a.txt", true), ("GET /c", false)],
    );
    check(
        "exists = { file = '/srv/down' }",
        &[("GET /anything", true)],
    );
    check(
        "not = { exists = { file = '/srv/down' } }",
        &[("GET /anything", false)],
    );
    check(
        "match = '^/(?<lang>..)/'\nexists = { file = '$root/$1.html' }",
        &[("GET /de/x", true), ("GET /fr/x", false)],
    );
    // The groups of the rule are names for its exceptions too.
    check(
        "match = '^/(?<lang>..)/'\nnot = { exists = { file = '$root/${lang}.html' } }",
        &[("GET /de/x", false), ("GET /fr/x", true)],
    );
}

#[test]
fn groups_nest() {
    check(
        "any = [{ extension = 'php' }, { prefix = '/api', method = 'POST' }]",
        &[
            ("GET /a.php", true),
            ("POST /api/x", true),
            ("GET /api/x", false),
            ("POST /x", false),
        ],
    );
    check(
        "all = [{ header = { name = 'X-A' } }, { header = { name = 'X-B' }, not = { path = '/no' } }]",
        &[
            ("GET /\nX-A: 1\nX-B: 1", true),
            ("GET /\nX-A: 1", false),
            ("GET /no\nX-A: 1\nX-B: 1", false),
        ],
    );
    check(
        "path = '/x'\nany = [{ all = [{ method = 'GET' }, { not = { scheme = 'https' } }] }, { method = 'PUT' }]",
        &[
            ("GET /x", true),
            ("GET /x\nscheme: https", false),
            ("PUT /x\nscheme: https", true),
            ("GET /y", false),
        ],
    );
    check(
        "not = { any = [{ method = 'PUT' }, { path = '/x' }] }",
        &[("GET /x", false), ("GET /y", true)],
    );
}

#[test]
fn nothing_nests_for_ever() {
    let nested = |depth| {
        let (open, close) = ("any = [{ ".repeat(depth), " }]".repeat(depth));
        built(&format!("{open}path = '/'{close}")).1
    };
    assert_eq!(nested(8), [""; 0]);
    assert_eq!(
        nested(9),
        ["`any` is nested more than 8 levels deep in `any` and `all`"]
    );
}

#[test]
fn invalid_conditions_are_reported() {
    for (lines, message) in [
        ("header = { value = 'x' }", "the condition needs a `name`"),
        (
            "header = { name = 'a b' }",
            "`a b` is not the name of a header",
        ),
        (
            "header = { name = 'a', value = 'x', match = 'y' }",
            "`value` and `match` exclude each other: write one",
        ),
        (
            "exists = {}",
            "`exists` has exactly one of file, directory and any",
        ),
        (
            "exists = { file = '/a', any = '/b' }",
            "`exists` has exactly one of file, directory and any",
        ),
        (
            "exists = { file = '$path' }",
            "`$path` does not begin with a folder",
        ),
        (
            "exists = { file = '$rot/x' }",
            "unknown variable `$rot`: did you mean `$root`?",
        ),
        (
            "any = []",
            "`any` is an empty list: write its conditions, or remove it",
        ),
        (
            "match = 'a\\Kb'",
            "the pattern cannot be used: `\\K` has no meaning without a replacement: use a group",
        ),
        (
            "scheme = 'ftp'",
            "expected \"http\" or \"https\", found \"ftp\"",
        ),
    ] {
        assert_eq!(built(lines).1, [message], "{lines}");
    }
    assert_eq!(built("remote = '10.0.0.0/33'").1.len(), 1);
}

#[test]
fn an_empty_list_holds_for_nothing() {
    for key in ["method", "path", "host", "extension", "remote"] {
        let (set, errors, warnings) = built(&format!("{key} = []"));
        assert!(errors.is_empty(), "{key}");
        assert_eq!(
            warnings,
            [format!(
                "`{key}` is an empty list, which holds for no request"
            )]
        );
        let rule = Rule::when(set, ());
        assert!(
            rule.matches(&request("GET /"), &disk()).unwrap().is_none(),
            "{key}"
        );
    }
}

#[test]
fn a_pattern_without_end_fails_the_request() {
    let rule = Rule::when(built("match = '^/(a|a)*(?=b)\\1$'").0, ()).at("fcgate.toml:7".into());
    let hard = request(&format!("GET /{}", "a".repeat(40)));
    let error = rule.matches(&hard, &disk()).unwrap_err().to_string();
    assert!(
        error.contains("^/(a|a)*(?=b)\\1$") && error.contains("fcgate.toml:7"),
        "{error}"
    );
    // As an exception it must not count as one that does not hold.
    let rule = Rule::when(built("not = { match = '^/(a|a)*(?=b)\\1$' }").0, ());
    assert!(rule.matches(&hard, &disk()).is_err());
}

#[test]
fn coverage_is_implication() {
    for (wider, narrower, expected) in [
        ("", "path = '/x'", true),
        ("path = '/x'", "", false),
        ("path = ['/x', '/y']", "path = '/x'", true),
        ("path = '/x'", "path = ['/x', '/y']", false),
        ("prefix = '/a'", "prefix = '/a/b'", true),
        ("prefix = '/a'", "prefix = '/ab'", false),
        ("prefix = '/a'", "path = ['/a', '/a/b']", true),
        ("prefix = '/a'", "path = ['/a', '/b']", false),
        ("method = 'GET'", "method = 'HEAD'", true),
        ("method = 'HEAD'", "method = 'GET'", false),
        ("host = '*.a.example'", "host = 'x.a.example'", true),
        ("host = 'a.example'", "host = '*.a.example'", false),
        ("extension = ['PHP', 'phtml']", "extension = 'php'", true),
        ("match = '^/x'", "match = '^/x'", true),
        ("match = '^/x'", "match = '^/xy'", false),
        ("scheme = 'https'", "scheme = 'https'\npath = '/'", true),
        ("remote = '10.0.0.0/8'", "remote = '10.0.0.0/8'", true),
        ("header = { name = 'a' }", "header = { name = 'a' }", false),
        ("not = { path = '/y' }", "path = '/x'", false),
        (
            "prefix = '/a'",
            "prefix = '/a'\nnot = { path = '/a/b' }",
            true,
        ),
    ] {
        let covers = built(wider).0.covers(&built(narrower).0);
        assert_eq!(covers, expected, "{wider} | {narrower}");
    }
}

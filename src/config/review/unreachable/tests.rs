//! No rule reported as unreachable is ever reached, over random rules, requests and disks.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestRunner};

use crate::config;
use crate::handler::{Decision, Handler};
use crate::message::request::Origin;
use crate::message::{
    Cause, Disk, EncodedSlash, Found, Host, Request, RequestId, Root, Target, Upload, Wire,
};
use crate::modifier::Step;
use crate::route::Rules;
use crate::site::Snapshot;

/// Conditions, one key each.
const CONDITIONS: [&[&str]; 8] = [
    &[
        "prefix = '/a'",
        "prefix = '/a/'",
        "prefix = '/a/b'",
        "prefix = '/b'",
        "prefix = '/'",
    ],
    &[
        "path = '/a'",
        "path = ['/a/b', '/b']",
        "path = ['/a', '/a/b/c.php']",
        "path = '/b/'",
    ],
    &[
        "match = '^/a/(.*)$'",
        "match = '^/(a|b)'",
        "match = '\\.php$'",
        "match = '^/a/b'",
    ],
    &["extension = 'php'", "extension = ['css', 'php']"],
    &[
        "method = 'GET'",
        "method = ['GET', 'POST']",
        "method = 'PUT'",
    ],
    &[
        "header = { name = 'X-A' }",
        "scheme = 'http'",
        "host = ['a.test', 'b.test']",
    ],
    &[
        "not = { path = '/a/b' }",
        "not = { method = 'GET' }",
        "not = { prefix = '/a/b' }",
    ],
    &[
        "any = [{ path = '/a' }, { prefix = '/b' }]",
        "all = [{ prefix = '/a' }]",
    ],
];

const ACTIONS: [&str; 17] = [
    "deny = true",
    "respond = { status = 404 }",
    "respond = {}",
    "redirect = { to = '/r' }",
    "rewrite = { to = '/w' }",
    "static_files = {}",
    "static_files = { missing = 'decline' }",
    "static_files = { mounted_at = '/a' }",
    "static_files = { mounted_at = '/a/b/', missing = 'decline' }",
    "fastcgi = { upstream = '127.0.0.1:1' }",
    "fastcgi = { upstream = '127.0.0.1:1', missing = 'decline' }",
    "fastcgi = { upstream = '127.0.0.1:1', missing = 'pass', mounted_at = '/a/b' }",
    "fastcgi = { upstream = '127.0.0.1:1', script = '/s/i.php', mounted_at = '/b' }",
    "proxy_pass = '/a', to = '!'",
    "proxy_pass = '/', to = 'fcgi://127.0.0.1:1/s/'",
    "set_handler = 'proxy:fcgi://127.0.0.1:1'",
    "expires = '1d'",
];

const PATHS: [&str; 14] = [
    "/",
    "/a",
    "/a/",
    "/ab",
    "/a/b",
    "/a/b/",
    "/a/b/c",
    "/a/b/c.php",
    "/a/c.php/x",
    "/a/x.css",
    "/b",
    "/b/",
    "/b/c.php",
    "/c.php",
];

const METHODS: [&str; 3] = ["GET", "POST", "PUT"];

/// A disk with random contents, by seed; no folder has the name of a script, which `settles` relies on.
#[derive(Debug)]
struct SomeDisk(u8);

impl SomeDisk {
    fn draw(&self, path: &[u8]) -> u8 {
        let sum = path
            .iter()
            .fold(self.0, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
        sum >> 5
    }
}

impl Disk for SomeDisk {
    fn open(&self, _: &Root, path: &[u8]) -> Found {
        let is_below_script = path.windows(4).any(|bytes| bytes == b".php");
        match self.draw(path) {
            _ if is_below_script => Found::Missing,
            0..4 => Found::Missing,
            4..7 => Found::Directory,
            _ => Found::Refused("by chance"),
        }
    }

    fn is_file(&self, _: &Root, path: &[u8]) -> bool {
        self.draw(path).is_multiple_of(2)
    }
}

fn rule() -> impl Strategy<Value = String> {
    let conditions = subsequence(CONDITIONS.to_vec(), 0..=2).prop_flat_map(|keys| {
        let each: Vec<_> = keys
            .into_iter()
            .map(|texts| select(texts.to_vec()))
            .collect();
        each
    });
    let internal = prop::bool::weighted(0.1);
    let parts = (conditions, select(ACTIONS.to_vec()), internal);
    parts.prop_map(|(mut parts, action, internal)| {
        parts.push(action);
        if internal {
            parts.push("internal = true");
        }
        parts.join(", ")
    })
}

/// Builds a site of these rules, the first in the third line; returns the numbers of those reported as unreachable.
fn reviewed(rules: &[String]) -> (Snapshot, BTreeSet<usize>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: String = rules
        .iter()
        .map(|rule| format!("{{ {rule} }},\n"))
        .collect();
    let text = format!("[[site]]\nroot = '/s'\nrule = [\n{lines}]\n");
    std::fs::write(file.path(), &text).unwrap();
    let loaded = config::load(file.path(), None);
    let snapshot = loaded.unwrap_or_else(|error| panic!("{text}{error}"));
    let mut warned = BTreeSet::new();
    let mut is_ours = false;
    for line in snapshot.warnings.lines() {
        if let Some(message) = line.strip_prefix("warning: ") {
            is_ours = message.starts_with("this rule can never match: th");
        }
        if let Some((_, place)) = line.split_once("--> ").filter(|_| is_ours) {
            let number = place.rsplit(':').nth(1).unwrap();
            warned.insert(number.parse::<usize>().unwrap() - 4);
        }
    }
    (snapshot, warned)
}

fn request(method: &str, path: &str, with_field: bool) -> Request {
    let mut builder = http::Request::builder().method(method);
    if with_field {
        builder = builder.header("x-a", "1");
    }
    let (parts, ()) = builder.body(()).unwrap().into_parts();
    let [client, server] = ["192.0.2.1:4711", "127.0.0.1:80"].map(|at| at.parse().unwrap());
    let origin = Origin {
        host: Host::parse("a.test").unwrap(),
        canonical: None,
        wire: Arc::new(Wire::tcp(client, server)),
        id: RequestId::new(1, 2),
    };
    let target = Target::parse(path, EncodedSlash::Reject).unwrap();
    Request::new(parts, target, Upload::Empty, origin)
}

/// Returns the rules that one round reaches and that hold, in their order; compares the handlers' statements about
/// the path with their decisions.
fn reached(rules: &Rules<Step>, request: &Request, disk: &SomeDisk) -> Vec<usize> {
    let path = request.target.path();
    let mut reached = Vec::new();
    let mut excluded = false;
    for (number, rule) in rules.iter().enumerate() {
        let step = &rule.then;
        let passed_over = excluded && step.is_proxy_target();
        if passed_over || (step.internal && request.causes.is_empty()) {
            continue;
        }
        let Some(captures) = rule.matches(request, disk).unwrap() else {
            continue;
        };
        reached.push(number);
        let Some(handler) = &step.handler else {
            continue;
        };
        excluded |= matches!(handler, Handler::ExcludeProxy);
        let decision = handler.decide(request, &captures, disk);
        let ends = !matches!(decision, Decision::Decline | Decision::Withhold(_));
        let settles = handler.settles(path);
        assert!(
            settles.is_none_or(|settles| settles == ends),
            "{handler:?}: {settles:?}, {decision:?}"
        );
        if ends {
            break;
        }
    }
    reached
}

#[test]
fn reported_rules_are_not_reached() {
    let mut runner = TestRunner::new_with_rng(
        Config::with_cases(600),
        TestRunner::deterministic().new_rng(),
    );
    let warnings = Cell::new(0);
    let rules = prop::collection::vec(rule(), 2..6);
    let ran = runner.run(&(rules, any::<u8>()), |(rules, seed)| {
        let (snapshot, unreachable) = reviewed(&rules);
        warnings.set(warnings.get() + unreachable.len());
        let disk = SomeDisk(seed);
        let site = snapshot.sites().next().unwrap();
        for (path, method) in PATHS
            .iter()
            .flat_map(|path| METHODS.map(|method| (path, method)))
        {
            let mut request = request(method, path, seed.is_multiple_of(2));
            for cause in [None, Some(Cause::Index)] {
                request.causes.extend(cause);
                let reached = reached(&site.rules, &request, &disk);
                let wrong = reached.iter().find(|number| unreachable.contains(number));
                prop_assert_eq!(wrong, None, "{} {}", method, path);
            }
        }
        Ok(())
    });
    ran.unwrap();
    assert!(
        warnings.get() > 100,
        "only {} were called so",
        warnings.get()
    );
}

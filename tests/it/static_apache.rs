//! The same files behind a real Apache and behind fcgate: what differs is in
//! tests/differential/static_expected_differences.toml, each with its reason, or a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::harness::apache::{Apache, let_it_read};
use crate::harness::php_fpm::write_below;
use crate::harness::{Address, Gateway, Request, Response, http1};

/// Of all files: RFC 9110 §5.6.7's example. Apache's tags of what was just written are weak.
const MODIFIED: u64 = 784_111_777;

const FILES: &[&str] = &[
    "a.txt",
    "page.html",
    "data.json",
    "style.css",
    "script.js",
    "pic.png",
    "pic.svg",
    "font.woff2",
    "blob.bin",
    "noext",
    "archive.tar.gz",
    "UPPER.HTML",
    "a b.txt",
    "ä.txt",
    "sub/index.html",
    "noindex/x.txt",
    ".hidden",
    ".well-known/token",
    "a.txt~",
    "a+b&c=d.txt",
    "%41.txt",
    "film.mp4",
];

/// What is compared of an answer beside status and content.
const FIELDS: &[&str] = &[
    "content-type",
    "content-length",
    "content-range",
    "accept-ranges",
    "last-modified",
    "location",
    "allow",
];

const TARGETS: &[&str] = &[
    "/a.txt",
    "/page.html",
    "/data.json",
    "/style.css",
    "/script.js",
    "/pic.png",
    "/pic.svg",
    "/font.woff2",
    "/blob.bin",
    "/noext",
    "/archive.tar.gz",
    "/UPPER.HTML",
    "/a%20b.txt",
    "/%C3%A4.txt",
    "/sub/index.html",
    "/sub/",
    "/sub",
    "/sub?a=b",
    "/",
    "/noindex/",
    "/noindex",
    "/missing",
    "/missing/",
    "/a.txt/",
    "/a.txt/x",
    "/A.TXT",
    "/.hidden",
    "/.well-known/token",
    "/a.txt~",
    "/%2e%2e/x",
    "/sub/../a.txt",
    "/sub//index.html",
    "//sub",
    "/./a.txt",
    "/a.txt?query",
    "/sub%2Findex.html",
    "/a%00",
    "/a.txt%20",
    "/link",
    "/empty",
    "/a+b&c=d.txt",
    "/%2541.txt",
    "/a%2etxt",
    "/%61.txt",
    "/film.mp4",
    "/LONG",
];

const RANGES: &[&str] = &[
    "bytes=0-0",
    "bytes=2-4",
    "bytes=7-",
    "bytes=-3",
    "bytes=-100",
    "bytes=0-99",
    "bytes=10-",
    "bytes=9-",
    "bytes=-0",
    "bytes=4-2",
    "bytes=",
    "bytes=a-b",
    "lines=0-1",
    "bytes=0-0,9-9",
    "bytes=9-9,0-0",
    "bytes=0-1,3-4,6-6",
    "bytes=0-4,3-6",
    "bytes=0-1,20-30",
    "bytes=20-30,40-",
    "bytes=0-4,5-9",
    "bytes=0-1,x",
    "bytes=0-0,-1",
    "bytes= 2-4",
    "bytes=,2-4,",
    "Bytes=2-4",
    "bytes=0-0,0-0,0-0",
    "bytes=0-18446744073709551616",
];

/// `{etag}` and `{date}` are what each side said of the file.
const CONDITIONS: &[&[(&str, &str)]] = &[
    &[("If-Match", "{etag}")],
    &[("If-Match", "\"other\"")],
    &[("If-Match", "*")],
    &[("If-Match", "\"other\", {etag}")],
    &[("If-Match", "W/{etag}")],
    &[("If-None-Match", "{etag}")],
    &[("If-None-Match", "\"other\"")],
    &[("If-None-Match", "*")],
    &[("If-None-Match", "\"other\", {etag}")],
    &[("If-None-Match", "W/{etag}")],
    &[("If-None-Match", "nonsense")],
    &[("If-Modified-Since", "{date}")],
    &[("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")],
    &[("If-Modified-Since", "Sun Nov  6 08:49:37 1994")],
    &[("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT")],
    &[("If-Modified-Since", "Sun, 06 Nov 1994 08:49:38 GMT")],
    &[("If-Modified-Since", "nonsense")],
    &[("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")],
    &[("If-Unmodified-Since", "{date}")],
    &[("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT")],
    &[("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:38 GMT")],
    &[("If-Unmodified-Since", "nonsense")],
    &[
        ("If-None-Match", "\"other\""),
        ("If-Modified-Since", "{date}"),
    ],
    &[
        ("If-None-Match", "{etag}"),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"),
    ],
    &[
        ("If-Match", "{etag}"),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"),
    ],
    &[("If-Match", "{etag}"), ("If-None-Match", "{etag}")],
    &[("If-Match", "\"other\""), ("If-None-Match", "{etag}")],
    &[("If-Range", "{etag}"), ("Range", "bytes=2-4")],
    &[("If-Range", "\"other\""), ("Range", "bytes=2-4")],
    &[("If-Range", "W/{etag}"), ("Range", "bytes=2-4")],
    &[("If-Range", "{date}"), ("Range", "bytes=2-4")],
    &[
        ("If-Range", "Sun, 06 Nov 1994 08:49:38 GMT"),
        ("Range", "bytes=2-4"),
    ],
    &[
        ("If-Range", "Sun, 06 Nov 1994 08:49:36 GMT"),
        ("Range", "bytes=2-4"),
    ],
    &[("If-Range", "{etag}"), ("Range", "bytes=20-")],
    &[("If-Range", "\"other\""), ("Range", "bytes=20-")],
    &[("If-None-Match", "{etag}"), ("Range", "bytes=2-4")],
    &[("If-Match", "\"other\""), ("Range", "bytes=2-4")],
    &[("If-Modified-Since", "{date}"), ("Range", "bytes=2-4")],
];

fn plant(root: &Path) {
    for name in FILES {
        write_below(root, name, "0123456789");
    }
    write_below(root, "empty", "");
    symlink("a.txt", root.join("link")).unwrap();
    let modified = UNIX_EPOCH + Duration::from_secs(MODIFIED);
    for name in FILES.iter().chain(&["empty"]) {
        let file = std::fs::File::options()
            .write(true)
            .open(root.join(name))
            .unwrap();
        file.set_modified(modified).unwrap();
    }
}

/// Name and request of each comparison.
fn requests() -> Vec<(String, Request)> {
    let mut list = Vec::new();
    let mut add = |method: &str, target: &str, fields: &[(&str, &str)]| {
        let long = format!("/{}", "a".repeat(256));
        let sent = if target == "/LONG" {
            long.as_str()
        } else {
            target
        };
        let mut name = format!("{method} {target}");
        let mut request = Request::new(method, sent);
        for (field, value) in fields {
            name.push_str(&format!(" {field}: {value}"));
            request = request.field(field, value);
        }
        list.push((name, request));
    };
    for target in TARGETS {
        add("GET", target, &[]);
        add("HEAD", target, &[]);
    }
    for target in ["/a.txt", "/sub/", "/missing"] {
        for method in ["OPTIONS", "POST", "PUT", "DELETE", "PATCH"] {
            add(method, target, &[]);
        }
    }
    for range in RANGES {
        add("GET", "/a.txt", &[("Range", range)]);
    }
    for range in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
        add("GET", "/empty", &[("Range", range)]);
        add("HEAD", "/a.txt", &[("Range", range)]);
        add("GET", "/missing", &[("Range", range)]);
    }
    for fields in CONDITIONS {
        add("GET", "/a.txt", fields);
    }
    list
}

/// What a side answers, as a table of variables.
async fn ask(
    address: &Address,
    request: &Request,
    validators: (&str, &str),
) -> BTreeMap<String, String> {
    let mut request = request.clone();
    for (_, value) in &mut request.fields {
        *value = value
            .replace("{etag}", validators.0)
            .replace("{date}", validators.1);
    }
    let response = http1::send(address, &request).await;
    let mut seen = BTreeMap::from([("status".to_owned(), response.status.to_string())]);
    let boundary = response
        .header("content-type")
        .and_then(|kind| kind.split_once("boundary="))
        .map(|(_, word)| word.to_owned());
    // RFC 9110 §5.1: names of fields are case-insensitive, in parts too.
    let plain = |text: &str| match &boundary {
        Some(boundary) => text
            .replace(boundary, "BOUNDARY")
            .replace("Content-Type:", "Content-type:")
            .replace("Content-Range:", "Content-range:"),
        None => text.to_owned(),
    };
    // What each says of its failures in its own words is its own affair.
    let told = (200..300).contains(&response.status);
    for name in FIELDS {
        let of_words = matches!(*name, "content-type" | "content-length");
        // The length of several parts depends on the boundary.
        let of_boundary = *name == "content-length" && boundary.is_some();
        if let Some(value) = response
            .header(name)
            .filter(|_| !of_boundary && (told || !of_words))
        {
            let value = match *name {
                "allow" => in_order(value),
                _ => plain(value),
            };
            seen.insert(format!("field:{name}"), value);
        }
    }
    if told {
        seen.insert("body".to_owned(), plain(&response.text()));
        let strong = response
            .header("etag")
            .is_some_and(|tag| tag.starts_with('"'));
        seen.insert("strong tag".to_owned(), strong.to_string());
    }
    seen
}

/// Apache's order of methods is another one in each process.
fn in_order(list: &str) -> String {
    let mut members: Vec<_> = list.split(',').map(str::trim).collect();
    members.sort_unstable();
    members.join(", ")
}

/// An entry of the file of differences.
struct Expected {
    variable: String,
    requests: Vec<String>,
    apache: Option<String>,
    fcgate: Option<String>,
    occurred: bool,
}

fn expected() -> Vec<Expected> {
    let file: toml::Table = include_str!("../differential/static_expected_differences.toml")
        .parse()
        .unwrap();
    let entries = file["difference"].as_array().unwrap().iter();
    let read = |entry: &toml::Value| {
        let text = |key: &str| {
            entry
                .get(key)
                .map(|value| value.as_str().unwrap().to_owned())
        };
        assert!(
            text("reason").is_some_and(|reason| !reason.is_empty()),
            "without a reason: {entry}"
        );
        Expected {
            variable: text("variable").unwrap(),
            requests: entry["requests"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap().to_owned())
                .collect(),
            apache: text("apache"),
            fcgate: text("fcgate"),
            occurred: false,
        }
    };
    entries.map(read).collect()
}

impl Expected {
    fn covers(&self, request: &str, variable: &str, values: (&str, &str)) -> bool {
        let named = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => request.starts_with(beginning),
            None => request == pattern,
        };
        self.variable == variable
            && self.requests.iter().any(named)
            && self.apache.as_deref().is_none_or(|value| value == values.0)
            && self.fcgate.as_deref().is_none_or(|value| value == values.1)
    }
}

fn validators(response: &Response) -> (String, String) {
    let value = |name| response.header(name).unwrap().to_owned();
    (value("etag"), value("last-modified"))
}

/// What differs between the answers: variable, Apache's value, ours.
fn differences(
    left: &BTreeMap<String, String>,
    right: &BTreeMap<String, String>,
) -> Vec<(String, String, String)> {
    if left["status"] != right["status"] {
        // All else is another answer's.
        return vec![(
            "status".to_owned(),
            left["status"].clone(),
            right["status"].clone(),
        )];
    }
    let value = |side: &BTreeMap<String, String>, name: &str| {
        side.get(name)
            .cloned()
            .unwrap_or_else(|| "(absent)".to_owned())
    };
    let names: BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let all = names
        .into_iter()
        .map(|name| (name.clone(), value(left, name), value(right, name)));
    all.filter(|(_, a, b)| a != b).collect()
}

/// Both servers with the same tree.
async fn both() -> (Apache, Gateway) {
    let gateway = Gateway::with_files().prepare(|root| {
        let_it_read(root.parent().unwrap());
        plant(root);
    });
    let gateway = gateway.start().await;
    let lines = format!(
        "DocumentRoot {0}\nDirectoryIndex index.html\nAddDefaultCharset utf-8\n<Directory {0}>\nRequire all granted\nOptions FollowSymLinks\nAllowOverride None\n</Directory>\n",
        gateway.root().display()
    );
    (Apache::start(&lines).await, gateway)
}

#[tokio::test]
async fn files_are_sent_as_apache_sends_them() {
    let (apache, gateway) = both().await;
    let first = Request::get("/a.txt");
    let theirs = validators(&http1::send(apache.address(), &first).await);
    let ours = validators(&gateway.send(&first).await);
    let mut expected = expected();
    let mut unexpected = Vec::new();
    let requests = requests();
    assert!(requests.len() >= 150, "{}", requests.len());
    for (name, request) in &requests {
        let left = ask(apache.address(), request, (&theirs.0, &theirs.1)).await;
        let right = ask(gateway.address(), request, (&ours.0, &ours.1)).await;
        for (variable, a, b) in differences(&left, &right) {
            let covering = expected
                .iter_mut()
                .filter(|entry| entry.covers(name, &variable, (&a, &b)));
            if covering.map(|entry| entry.occurred = true).count() == 0 {
                unexpected.push(format!("{name} | {variable} | {a:?} | {b:?}"));
            }
        }
    }
    assert!(
        unexpected.is_empty(),
        "{} differ:\n{}",
        unexpected.len(),
        unexpected.join("\n")
    );
    let idle = expected.iter().filter(|entry| !entry.occurred);
    let idle: Vec<_> = idle
        .map(|entry| (&entry.variable, &entry.requests))
        .collect();
    assert!(
        idle.is_empty(),
        "expected differences that no longer occur: {idle:?}"
    );
}

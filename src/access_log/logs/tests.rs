//! Logs by their sections: destinations, conditions, and the lines of requests.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use toml::de::DeTable;

use super::super::{sample, section};
use super::*;
use crate::files::Files;
use crate::line_log::{Logs, close};
use crate::message::edits::{Assignment, RuleEdits};
use crate::message::request::Origin;
use crate::message::{EncodedSlash, Found, Host, RequestId, Root, Target, Upload};

/// The logs of a text, and their files in a folder.
struct Built {
    folder: tempfile::TempDir,
    all: Logs,
    logs: Arc<AccessLogs>,
    messages: Vec<String>,
}

/// Builds the logs of `access_log = …`; DIR is their folder.
fn build(text: &str) -> Built {
    let folder = tempfile::tempdir().unwrap();
    let text = text.replace("DIR", &folder.path().display().to_string());
    let table = DeTable::parse(&text).unwrap();
    let mut problems = Problems::default();
    static FILE: crate::section::Section = crate::section::Section {
        title: "file",
        doc: "",
        groups: &[&[&section::ACCESS_LOG]],
    };
    let lowered = FILE.lower(table.get_ref(), Place::default(), &|_| None, &mut problems);
    let all = Logs::default();
    let open = |to: Destination, _: Place, _: &mut Problems| {
        let log = all.access_log(&to);
        all.open(&to, &log, &Files::own()).unwrap();
        Some(log)
    };
    let logs = AccessLogs::build(lowered.get(&section::ACCESS_LOG), open, &mut problems);
    let found = problems.into_sorted().into_iter();
    let messages = found.map(|problem| {
        let at = text.get(problem.place.span).unwrap_or_default().to_owned();
        format!("{at}: {}", problem.message)
    });
    Built {
        messages: messages.collect(),
        logs: Arc::new(logs),
        all,
        folder,
    }
}

/// A disk without files.
#[derive(Debug)]
struct Nothing;

impl Disk for Nothing {
    fn open(&self, _: &Root, _: &[u8]) -> Found {
        Found::Missing
    }

    fn is_file(&self, _: &Root, _: &[u8]) -> bool {
        false
    }

    fn real_path(&self, _: &Root) -> Option<Arc<Path>> {
        None
    }
}

impl Built {
    /// Logs a request for `path` with this status and these variables, and returns the lines of the file `a`.
    fn lines(&self, path: &str, status: u16, variables: &[(&str, Option<&str>)]) -> Vec<String> {
        let mut parts = http::Request::new(()).into_parts().0;
        parts
            .headers
            .insert("x-tag", HeaderValue::from_static("tag"));
        let mut log = RequestLog::new(&self.logs, &parts);
        let mut record = sample("/");
        let origin = Origin {
            host: Host::parse("a.example").unwrap(),
            canonical: None,
            wire: Arc::clone(&record.wire),
            id: RequestId::new(1, 2),
        };
        let target = Target::parse(path, EncodedSlash::Reject).unwrap();
        let request = Request::new(parts, target, Upload::Empty, origin);
        log.judge(&request, &Nothing);
        let mut edits = Edits::default();
        edits.set_rule(RuleEdits {
            environment: variables
                .iter()
                .map(|(name, value)| Assignment {
                    name: Arc::from(*name),
                    value: value.map(|value| value.as_bytes().to_vec()),
                })
                .collect(),
            ..RuleEdits::of_no_rule()
        });
        record.status = status;
        log.capture_response(&Response::new(()));
        log.write(&mut record, Some(&edits));
        close(&self.all.all(), Duration::from_secs(30));
        let path = self.folder.path().join("a");
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, "").unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn conditions_decide_about_lines() {
    type Case<'a> = (
        &'a str,
        &'a str,
        u16,
        &'a [(&'a str, Option<&'a str>)],
        bool,
    );
    let cases: [Case<'_>; 18] = [
        ("", "/", 200, &[], true),
        ("unless = { path = '/health' }", "/health", 200, &[], false),
        ("unless = { path = '/health' }", "/healthy", 200, &[], true),
        (
            "unless = { path = '/health', status = '2xx' }",
            "/health",
            503,
            &[],
            true,
        ),
        (
            "unless = { path = '/health', status = '2xx' }",
            "/health",
            204,
            &[],
            false,
        ),
        (
            "when = { status = ['404', '500-503'] }",
            "/",
            404,
            &[],
            true,
        ),
        (
            "when = { status = ['404', '500-503'] }",
            "/",
            503,
            &[],
            true,
        ),
        (
            "when = { status = ['404', '500-503'] }",
            "/",
            504,
            &[],
            false,
        ),
        (
            "unless = { env = 'dontlog' }",
            "/",
            200,
            &[("dontlog", Some(""))],
            false,
        ),
        (
            "unless = { env = 'dontlog' }",
            "/",
            200,
            &[("other", Some("1"))],
            true,
        ),
        (
            "unless = { env = 'dontlog' }",
            "/",
            200,
            &[("dontlog", Some("1")), ("dontlog", None)],
            true,
        ),
        (
            "when = { env = ['a', 'b'] }",
            "/",
            200,
            &[("b", Some("1"))],
            true,
        ),
        ("when = { env = ['a', 'b'] }", "/", 200, &[], false),
        ("when = { remote = '192.0.2.0/24' }", "/", 200, &[], true),
        (
            "unless = { header = { name = 'x-tag', value = 'tag' } }",
            "/",
            200,
            &[],
            false,
        ),
        (
            "when = { not = { prefix = '/a' } }",
            "/a/b",
            200,
            &[],
            false,
        ),
        (
            "when = { prefix = '/a' }, unless = { extension = 'png' }",
            "/a/b.png",
            200,
            &[],
            false,
        ),
        (
            "when = { any = [{ path = '/a' }, { path = '/b' }] }",
            "/b",
            200,
            &[],
            true,
        ),
    ];
    for (conditions, path, status, variables, expected) in cases {
        let comma = if conditions.is_empty() { "" } else { ", " };
        let built = build(&format!(
            "access_log = {{ to = 'DIR/a'{comma}{conditions} }}"
        ));
        assert!(built.messages.is_empty(), "{:?}", built.messages);
        let lines = built.lines(path, status, variables);
        assert_eq!(lines.len() == 1, expected, "{conditions} {path} {status}");
    }
}

#[test]
fn several_logs_have_formats_of_their_own() {
    let built = build(
        "access_log = [{ to = 'DIR/b', format = '%{X-Tag}i %{Referer}i' }, { to = 'DIR/a', format = '%s %{Referer}i %{x-tag}i', when = { path = '/x' } }, 'off']",
    );
    assert!(built.messages.is_empty(), "{:?}", built.messages);
    assert_eq!(
        built.lines("/x", StatusCode::OK.as_u16(), &[]),
        ["200 - tag"]
    );
    assert!(built.lines("/y", 200, &[]).is_empty());
    let other = fs::read_to_string(built.folder.path().join("b")).unwrap();
    assert_eq!(other, "tag -\ntag -\n");
}

#[test]
fn faults_are_shown_where_they_stand() {
    for (text, expected) in [
        (
            "access_log = 'acess.log'",
            "'acess.log': `acess.log` is not a log destination",
        ),
        (
            "access_log = 'log/a'",
            "'log/a': `log/a` is not an absolute path",
        ),
        (
            "access_log = { format = '%h %Z' }",
            "%Z: unknown directive `%Z`: write `%%` for a `%`",
        ),
        (
            "access_log = { when = { status = '4x' } }",
            "'4x': `4x` is not a status",
        ),
        (
            "access_log = { when = { status = '500-400' } }",
            "'500-400': `500-400` is not a status",
        ),
        (
            "access_log = { unless = {} }",
            "{}: `unless` has no conditions",
        ),
        (
            "access_log = { unless = { valid_user = true } }",
            "{ valid_user = true }: `unless` of a log is judged before the user is known",
        ),
        (
            "access_log = ['off', 'off', 'off', 'off', 'off', 'off', 'off', 'off', 'off']",
            "'off': more than 8 access logs for the same requests",
        ),
    ] {
        assert_eq!(build(text).messages, [expected]);
    }
}

#[test]
fn a_request_without_a_log_has_no_lines() {
    let mut record = sample("/?token=a");
    let mut log = RequestLog::default();
    log.write(&mut record, None);
    assert_eq!(log.shown(&record), "/?token=redacted");
}

//! Both sides: a running gateway with an application behind it, and `fcgate explain` with the same configuration.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::comparison::{Comparison, Sides};
use super::question::{LOOPBACK, Question};
use super::secured::HOSTS;
use crate::harness::gateway::run;
use crate::harness::http1::Connection;
use crate::harness::php_fpm::write_below;
use crate::harness::scripted_responder::Setup;
use crate::harness::tls::{Authority, Identity, TlsClient};
use crate::harness::{Gateway, Request, Response, Script, ScriptedResponder, http2};

const ACCESS_LOG: &str = "[server.access_log]\nformat = \"json\"\n";

/// For the families without a listener with TLS.
const CLEAR_TEXT: &str = "[[listen]]\naddress = \"127.0.0.1:0\"\n";

/// Long ago, so that each file has a strong validator (RFC 9110 §8.8.2.2).
const WRITTEN: Duration = Duration::from_secs(1_577_836_800);

/// The two sides.
pub(super) struct Stand {
    gateway: Gateway,
    php: ScriptedResponder,
    tls: TlsClient,
}

/// Returns `length` bytes of text, no line like another.
pub(super) fn text(length: usize) -> String {
    let lines = (0_usize..).map(|line| format!("line {line} of {}\n", line * 7919 % 100_003));
    let mut text: String = lines.take(length / 8).collect();
    text.truncate(length);
    text
}

/// Asks each of the configurations, which have one site, all questions: there is little to be loaded for a question
/// then. The host of a question is the name of the configuration.
pub(super) async fn compare_each(
    configs: impl IntoIterator<Item = (&'static str, String)>,
    questions: &[Question],
    files: &[(&str, String)],
) -> Comparison {
    let mut all = Comparison::default();
    for (host, config) in configs {
        let stand = Stand::start(&config, files).await;
        let questions = questions
            .iter()
            .map(|question| Question { host, ..*question });
        all.join(stand.compare(&questions.collect::<Vec<_>>()).await);
    }
    all
}

impl Stand {
    /// Starts the gateway with `files` below the folder `{folder}` of the configuration, the application at `{php}`,
    /// and a certificate for the hosts of `secured` in the lines `{certificate}`.
    pub(super) async fn start(config: &str, files: &[(&str, String)]) -> Self {
        let answer = Script::answer("Content-Type: text/plain\r\n\r\nok");
        let php = Setup::new([answer]).start().await;
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        for (name, content) in files {
            write_below(folder, name, content);
            set_modified(&folder.join(name), WRITTEN);
        }
        let authority = Authority::new();
        authority.issue(HOSTS).write(folder, "site");
        let config = config
            .replace("{php}", &php.address().to_string())
            .replace("{folder}", folder.to_str().unwrap())
            .replace("{certificate}", &Identity::line(folder, "site"));
        let listener = if config.contains("[[listen]]") {
            ""
        } else {
            CLEAR_TEXT
        };
        let config = format!("{ACCESS_LOG}{config}\n{listener}");
        Self {
            gateway: Gateway::start_in(directory, &config).await,
            php,
            tls: TlsClient::new(&authority),
        }
    }

    /// Makes a file that much older than the others.
    pub(super) fn age(&self, name: &str, by: Duration) {
        set_modified(&self.gateway.directory().join(name), WRITTEN - by);
    }

    /// Asks both sides all of it and compares what they say.
    pub(super) async fn compare(&self, questions: &[Question]) -> Comparison {
        let mut comparison = Comparison::default();
        for question in questions {
            let fields = self.fields(question).await;
            let before = self.php.seen().requests.len();
            let (answer, line) = self.ask(question, &fields).await;
            let calls = self.php.requests().split_off(before);
            match self.explain(question, &fields) {
                Ok(story) => comparison.add(&Sides {
                    question,
                    answer: &answer,
                    line: &line,
                    calls: &calls,
                    story: &story,
                }),
                Err(error) => comparison.add_refusal(question, &answer, &error),
            }
        }
        comparison
    }

    /// Returns the fields of a question; what depends on another answer is taken from that.
    async fn fields(&self, question: &Question) -> Vec<(String, String)> {
        if !question.is_conditional() {
            return question.unconditional();
        }
        let (known, _) = self.ask(question, &question.unconditional()).await;
        let of = |name| known.header(name).unwrap_or("none").to_owned();
        let (etag, modified) = (of("etag"), of("last-modified"));
        question.resolved(|value| {
            let value = value.replace("{etag}", &etag);
            Some(value.replace("{modified}", &modified))
        })
    }

    /// Returns the answer of the gateway and its line in the access log.
    async fn ask(&self, question: &Question, fields: &[(String, String)]) -> (Response, Value) {
        let host = self.authority(question);
        let mut request = Request::new(question.method, question.target).field("Host", &host);
        for (name, value) in fields {
            request = request.field(name, value);
        }
        if let Some(content) = question.content() {
            request = request.body(content);
        }
        let seen = self.gateway.access.count();
        let answer = self.send(question, &request).await;
        let line = self.gateway.access.wait_after(seen, |_| true).await;
        (answer, serde_json::from_str(&line).unwrap())
    }

    async fn send(&self, question: &Question, request: &Request) -> Response {
        let address = &self.gateway.addresses()[usize::from(question.secure)];
        match (question.secure, question.http2) {
            (false, false) => {
                let from = question.from.parse().unwrap();
                let stream = address.connect_from(from, None).await.unwrap();
                Connection::over(stream).send(request).await
            }
            (false, true) => http2::send(address, request).await,
            (true, false) => {
                let mut connection = self.tls.http1(address, question.host).await;
                connection.send(request).await
            }
            (true, true) => {
                let mut connection = self.tls.http2(address, question.host).await;
                connection.send(request).await
            }
        }
    }

    /// Returns the host with the port, which a client of a port of its own names too (RFC 9110 §7.2).
    fn authority(&self, question: &Question) -> String {
        if question.host.contains(' ') {
            return question.host.to_owned();
        }
        let address = &self.gateway.addresses()[usize::from(question.secure)];
        format!("{}:{}", question.host, address.port())
    }

    /// Returns what `fcgate explain --json` prints, or what it says where it prints nothing.
    fn explain(&self, question: &Question, fields: &[(String, String)]) -> Result<Value, String> {
        let file = self.gateway.directory().join("fcgate.toml");
        let mut lines: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        if let Some(content) = question.content() {
            lines.push(format!("Content-Length: {}", content.len()));
        }
        let host = self.authority(question);
        let url = if host.contains(' ') {
            lines.push(format!("Host: {host}"));
            question.target.to_owned()
        } else {
            let scheme = if question.secure { "https" } else { "http" };
            // RFC 9112 §3.2.4: `OPTIONS *` is a request for a URL without path and query.
            let target = question.target.trim_start_matches('*');
            format!("{scheme}://{host}{target}")
        };
        let file = file.to_str().unwrap();
        let mut arguments = vec!["explain", "--json", "-c", file, "-X", question.method];
        for line in &lines {
            arguments.extend(["-H", line]);
        }
        if question.from != LOOPBACK {
            arguments.extend(["--from", question.from]);
        }
        arguments.push(&url);
        let output = run(&arguments);
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout).unwrap());
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

fn set_modified(file: &Path, since_epoch: Duration) {
    let file = File::options().write(true).open(file).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + since_epoch)
        .unwrap();
}

//! `fcgate health`, `status` and `reload`: requests to the admin listener of the running gateway.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use socket2::{SockAddr, Socket, Type};

use super::Configuration;
use crate::config;
use crate::message::percent;
use crate::site::AdminAddress;

/// Timeout of connecting, and of the answers to `health` and `status`.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout of a reload, which reads and compares a large configuration.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum length of an answer, in bytes.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// Arguments of `fcgate health`.
#[derive(Debug, clap::Args)]
pub(super) struct Health {
    #[command(flatten)]
    pub(super) configuration: Configuration,
    /// Ask for one upstream: an [upstream.NAME], or an address as the configuration has it.
    #[arg(long, value_name = "NAME", conflicts_with = "site")]
    upstream: Option<String>,
    /// Ask for the sites of a host.
    #[arg(long, value_name = "HOST")]
    site: Option<String>,
}

impl Health {
    /// Returns the target of the request.
    fn target(&self) -> String {
        let (key, name) = match (&self.upstream, &self.site) {
            (Some(name), _) => ("upstream", name),
            (None, Some(name)) => ("site", name),
            (None, None) => return "/ready".to_owned(),
        };
        let mut encoded = Vec::new();
        percent::encode_into(&mut encoded, name.as_bytes());
        format!("/ready?{key}={}", String::from_utf8_lossy(&encoded))
    }
}

/// Prints the readiness of the gateway, of an upstream or of a site; exit code 0 if it is ready, else 1 with the reason.
pub(super) fn health(file: &Path, asked: &Health) -> anyhow::Result<ExitCode> {
    let answer = match exchange(file, "GET", &asked.target(), TIMEOUT) {
        Ok(answer) => answer,
        Err(error) => {
            let _ = writeln!(io::stderr(), "not ready: {error:#}");
            return Ok(ExitCode::FAILURE);
        }
    };
    Ok(print(&answer))
}

/// Prints the status of the gateway.
pub(super) fn status(file: &Path) -> anyhow::Result<ExitCode> {
    Ok(print(&exchange(file, "GET", "/status", TIMEOUT)?))
}

/// Reloads the configuration, or prints the changes of a reload; exit code 1 if it is refused. The listener reveals no
/// values, so the errors are printed as by `fcgate check`, from the files themselves.
pub(super) fn reload(file: &Path, dry_run: bool) -> anyhow::Result<ExitCode> {
    let target = if dry_run {
        "/reload?dry-run"
    } else {
        "/reload"
    };
    let mut answer = exchange(file, "POST", target, RELOAD_TIMEOUT)?;
    if answer.status == REFUSED
        && let Err(invalid) = config::load(file, None)
    {
        answer.text = format!("the configuration is invalid\n{invalid}\n");
    }
    Ok(print(&answer))
}

/// The status of a reload with an invalid configuration.
const REFUSED: u16 = 422;

/// A response of the admin listener.
struct Answer {
    status: u16,
    text: String,
}

fn print(answer: &Answer) -> ExitCode {
    if answer.status == 200 {
        // A closed stdout does not change the exit code.
        let _ = io::stdout().write_all(answer.text.as_bytes());
        return ExitCode::SUCCESS;
    }
    let _ = io::stderr().write_all(answer.text.as_bytes());
    ExitCode::FAILURE
}

fn exchange(file: &Path, method: &str, target: &str, timeout: Duration) -> anyhow::Result<Answer> {
    let settings = config::admin_of(file)?;
    let Some(address) = settings.address else {
        bail!(
            "{}: no admin listener is configured: write [admin] address = \"unix:/run/fcgate/admin.sock\"",
            file.display()
        );
    };
    let request = |host: &str| {
        format!("{method} {target} HTTP/1.0\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n")
    };
    let bytes = match &address {
        AdminAddress::Unix { path, .. } => {
            let context = || format!("unix:{} (admin.address)", path.display());
            let socket = connect(&SockAddr::unix(path)?).with_context(context)?;
            send(socket, &request("localhost"), timeout)?
        }
        AdminAddress::Tcp(address) => {
            let context = || format!("{address} (admin.address)");
            let socket = connect(&SockAddr::from(*address)).with_context(context)?;
            send(socket, &request(&address.to_string()), timeout)?
        }
    };
    if bytes.is_empty() {
        bail!("the gateway ended before it answered");
    }
    parse(&String::from_utf8_lossy(&bytes)).context("the admin listener does not speak HTTP")
}

/// Connects within `TIMEOUT`: a stopped gateway accepts no connections, and connect(2) waits for room in the queue
/// (SO_SNDTIMEO).
fn connect(address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    socket.connect(address)?;
    Ok(socket)
}

fn send(mut socket: Socket, request: &str, timeout: Duration) -> io::Result<Vec<u8>> {
    socket.set_read_timeout(Some(timeout))?;
    socket.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    socket.take(MAX_ANSWER).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        text: body.to_owned(),
    })
}

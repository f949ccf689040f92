//! `fcgate health`, `status` and `reload`: what the running gateway says on its admin listener.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::config::{self, AdminAddress};

/// A gateway that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(3);

/// Reading and comparing a large configuration takes a moment.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);

/// The longest answer that is read.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Exit code 0 where the gateway is ready, else 1 and why.
pub(super) fn health(file: &Path) -> anyhow::Result<ExitCode> {
    let answer = match ask(file, "GET", "/ready", PATIENCE) {
        Ok(answer) => answer,
        Err(error) => {
            let _ = writeln!(io::stderr(), "not ready: {error:#}");
            return Ok(ExitCode::FAILURE);
        }
    };
    Ok(told(&answer))
}

/// Prints the status.
pub(super) fn status(file: &Path) -> anyhow::Result<ExitCode> {
    Ok(told(&ask(file, "GET", "/status", PATIENCE)?))
}

/// Has the configuration read again, or tells what would change; 1 where that is refused.
pub(super) fn reload(file: &Path, dry_run: bool) -> anyhow::Result<ExitCode> {
    let target = if dry_run {
        "/reload?dry-run"
    } else {
        "/reload"
    };
    Ok(told(&ask(file, "POST", target, RELOAD_PATIENCE)?))
}

/// What came back.
struct Answer {
    ok: bool,
    text: String,
}

fn told(answer: &Answer) -> ExitCode {
    if answer.ok {
        // A closed stdout changes nothing about the verdict.
        let _ = io::stdout().write_all(answer.text.as_bytes());
        return ExitCode::SUCCESS;
    }
    let _ = io::stderr().write_all(answer.text.as_bytes());
    ExitCode::FAILURE
}

fn ask(file: &Path, method: &str, target: &str, patience: Duration) -> anyhow::Result<Answer> {
    let settings = config::admin_of(file)?;
    let Some(address) = settings.address else {
        bail!(
            "{}: there is no admin listener: write [admin] address = \"unix:/run/fcgate/admin.sock\"",
            file.display()
        );
    };
    let request = format!("{method} {target} HTTP/1.0\r\nHost: admin\r\nContent-Length: 0\r\n\r\n");
    let mut bytes = Vec::new();
    match &address {
        AdminAddress::Unix { path, .. } => {
            let mut stream = UnixStream::connect(path)
                .with_context(|| format!("unix:{} (admin.address)", path.display()))?;
            stream.set_read_timeout(Some(patience))?;
            stream.write_all(request.as_bytes())?;
            stream.take(MOST_BYTES).read_to_end(&mut bytes)?;
        }
        AdminAddress::Tcp(address) => {
            let mut stream = TcpStream::connect_timeout(address, PATIENCE)
                .with_context(|| format!("{address} (admin.address)"))?;
            stream.set_read_timeout(Some(patience))?;
            stream.write_all(request.as_bytes())?;
            stream.take(MOST_BYTES).read_to_end(&mut bytes)?;
        }
    }
    if bytes.is_empty() {
        bail!("the gateway ended before it answered");
    }
    parse(&String::from_utf8_lossy(&bytes)).context("the admin listener speaks no HTTP")
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    Some(Answer {
        ok: status == "200",
        text: body.to_owned(),
    })
}

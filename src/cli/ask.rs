//! `fcgate health`, `status` and `reload`: what the running gateway says on its admin listener.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use socket2::{SockAddr, Socket, Type};

use crate::config;
use crate::site::AdminAddress;

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

/// Has the configuration read again, or tells what would change; 1 where that is refused. The listener tells no
/// values; who may read the files here is shown what is wrong as by `fcgate check`.
pub(super) fn reload(file: &Path, dry_run: bool) -> anyhow::Result<ExitCode> {
    let target = if dry_run {
        "/reload?dry-run"
    } else {
        "/reload"
    };
    let mut answer = ask(file, "POST", target, RELOAD_PATIENCE)?;
    if answer.status == REFUSED
        && let Err(invalid) = config::load(file, None)
    {
        answer.text = format!("the configuration is invalid\n{invalid}\n");
    }
    Ok(told(&answer))
}

/// The status of a reload whose configuration is invalid.
const REFUSED: u16 = 422;

/// What came back.
struct Answer {
    status: u16,
    text: String,
}

fn told(answer: &Answer) -> ExitCode {
    if answer.status == 200 {
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
    let request = |host: &str| {
        format!("{method} {target} HTTP/1.0\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n")
    };
    let bytes = match &address {
        AdminAddress::Unix { path, .. } => {
            let context = || format!("unix:{} (admin.address)", path.display());
            let socket = connect(&SockAddr::unix(path)?).with_context(context)?;
            exchange(socket, &request("localhost"), patience)?
        }
        AdminAddress::Tcp(address) => {
            let context = || format!("{address} (admin.address)");
            let socket = connect(&SockAddr::from(*address)).with_context(context)?;
            exchange(socket, &request(&address.to_string()), patience)?
        }
    };
    if bytes.is_empty() {
        bail!("the gateway ended before it answered");
    }
    parse(&String::from_utf8_lossy(&bytes)).context("the admin listener speaks no HTTP")
}

/// Connects, for no longer than a gateway may take that is well: one that is stopped accepts nobody, and the kernel
/// waits for room (connect(2), SO_SNDTIMEO).
fn connect(address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(address)?;
    Ok(socket)
}

fn exchange(mut socket: Socket, request: &str, patience: Duration) -> io::Result<Vec<u8>> {
    socket.set_read_timeout(Some(patience))?;
    socket.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    socket.take(MOST_BYTES).read_to_end(&mut bytes)?;
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

//! Real FastCGI applications that are not PHP-FPM.

use super::{PATIENCE, eventually};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Address;
use super::lines::Lines;
use super::process::{Process, find_program};

/// A running one; killed with its children when dropped.
pub(crate) struct Application {
    _process: Process,
    /// What it writes to its own error stream.
    _log: Lines,
}

/// `php-cgi -b` with so many children; with 0 it serves by itself.
pub(crate) async fn php_cgi(children: usize, address: &Address) -> Application {
    let mut command = Command::new(find_program(&["php-cgi8.2", "php-cgi"]));
    command.args(["-d", "log_errors=1", "-d", "display_errors=0"]);
    command.arg("-b").arg(path_of(address));
    command.env("PHP_FCGI_CHILDREN", children.to_string());
    start(command, address).await
}

/// A program in Perl that takes the address and the number of its processes as arguments.
pub(crate) async fn perl(program: &Path, processes: usize, address: &Address) -> Application {
    let mut command = Command::new(find_program(&["perl"]));
    command
        .arg(program)
        .arg(path_of(address))
        .arg(processes.to_string());
    start(command, address).await
}

/// Compiles a program in C that uses libfcgi, into `folder`.
pub(crate) fn compile(source: &Path, folder: &Path) -> PathBuf {
    let program = folder.join("program");
    let mut command = Command::new(find_program(&["cc", "gcc"]));
    command.arg("-o").arg(&program).arg(source).arg("-lfcgi");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    program
}

/// Such a program, which takes the address and the number of its processes as arguments.
pub(crate) async fn native(program: &Path, processes: usize, address: &Address) -> Application {
    let mut command = Command::new(program);
    command.arg(path_of(address)).arg(processes.to_string());
    start(command, address).await
}

fn path_of(address: &Address) -> String {
    let text = address.to_string();
    text.trim_start_matches("unix:").to_owned()
}

/// Waits until it listens.
async fn start(mut command: Command, address: &Address) -> Application {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = Process::spawn(&mut command);
    let log = Lines::of(
        "the log of the application",
        process.child().stderr.take().unwrap(),
    );
    eventually("the application listens", PATIENCE, async || {
        address.try_connect().await.map(drop)
    })
    .await;
    Application {
        _process: process,
        _log: log,
    }
}

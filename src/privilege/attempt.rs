//! Attempts of what a confined process must or must not be able to do, in builds with debug assertions alone: the tests have
//! the server make them, as code of an attacker in it would.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::sendfile::sendfile64;
use nix::sys::signal::kill;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, chroot};
use socket2::{Domain, Socket, Type};

/// Environment variable with attempts of a running server, one a line; each is logged with its result.
const VARIABLE: &str = "FCGATE_ATTEMPTS";

/// Time limit of a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Makes the attempts of the environment on this thread, and logs the results.
pub fn log_attempts() {
    let attempts = std::env::var(VARIABLE).unwrap_or_default();
    for attempt in attempts.lines() {
        tracing::info!(attempt, result = result(attempt), "attempted");
    }
}

/// Makes an attempt; returns "done", or the error. The attempt `status` returns proc_pid_status(5) of each thread.
pub fn result(attempt: &str) -> String {
    let made = match attempt {
        "status" => statuses(),
        attempt => make(attempt).map(|()| "done".to_owned()),
    };
    made.unwrap_or_else(|error| error.to_string())
}

fn statuses() -> io::Result<String> {
    let threads = fs::read_dir("/proc/self/task")?;
    threads
        .map(|thread| fs::read_to_string(thread?.path().join("status")))
        .collect()
}

/// Makes an attempt of the form `verb argument`.
fn make(attempt: &str) -> io::Result<()> {
    let (verb, argument) = attempt.split_once(' ').unwrap_or((attempt, ""));
    let path = Path::new(argument);
    match verb {
        "read" => File::open(path)?.read(&mut [0]).map(drop),
        "list" => fs::read_dir(path).map(drop),
        "open-below" => open_below(path),
        "write" => fs::write(path, "x"),
        "temporary" => temporary(path),
        "named-temporary" => tempfile::NamedTempFile::new_in(path)?.close(),
        "send" => send(path),
        "connect" => connect(argument),
        "connect-unix" => UnixStream::connect(path).map(drop),
        "resolve" => (argument, 80).to_socket_addrs().map(drop),
        "udp" => UdpSocket::bind("127.0.0.1:0").map(drop),
        "packet-socket" => Socket::new(Domain::PACKET, Type::RAW, None).map(drop),
        "thread" => thread::Builder::new()
            .spawn(|| ())?
            .join()
            .map_err(|_| panicked()),
        "sleep" => {
            thread::sleep(Duration::from_millis(1));
            Ok(())
        }
        // Without a new process: this one would become the program.
        "execute" => Err(Command::new(path).exec()),
        "run" => Command::new(path).status().map(drop),
        "trace" => Ok(nix::sys::ptrace::traceme()?),
        "chroot" => Ok(chroot(path)?),
        "become-root" => Ok(rustix::thread::set_thread_uid(rustix::process::Uid::ROOT)?),
        "signal-parent" => Ok(kill(Pid::parent(), None)?),
        _ => Err(io::Error::other("unknown attempt")),
    }
}

fn panicked() -> io::Error {
    io::Error::other("the thread has panicked")
}

fn connect(address: &str) -> io::Result<()> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    TcpStream::connect_timeout(&address, CONNECT).map(drop)
}

/// Opens a file below its folder, as static files are opened.
fn open_below(file: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let root = open(folder, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH);
    let opened = openat2(&root, Path::new(name), how)?;
    File::from(opened).read(&mut [0]).map(drop)
}

/// Writes and reads a file without a name.
fn temporary(folder: &Path) -> io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    io::Write::write_all(&mut file, b"x")?;
    file.set_len(0)
}

/// Sends a file to a socket without a copy in this process.
fn send(file: &Path) -> io::Result<()> {
    let (socket, _reader) = UnixStream::pair()?;
    sendfile64(&socket, File::open(file)?, None, 1)?;
    Ok(())
}

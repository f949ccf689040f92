"""What all servers stand in: the files, a certificate, PHP-FPM, and the FastCGI application of almost no cost."""

import os
import pwd
import resource
import shutil
import socket
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import template
from processes import running, wait_until

PROJECT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or PROJECT / "target")
FCGATE = TARGET / "dist" / "fcgate"
RESPONDER = TARGET / "bench" / "release" / "fcgate-bench-responder"
OPENAT2 = RESPONDER.with_name("libopenat2.so")

# A time in the past that all files have, for conditional requests.
MODIFIED = 1_700_000_000
MANY_FILES = 10_000

# Debian's folders of servers are not in everybody's PATH.
os.environ["PATH"] += ":/usr/sbin:/sbin"

PHP = "php"
RESPONDER_UNIX = "responder-unix"
RESPONDER_TCP = "responder-tcp"


@dataclass(frozen=True)
class Backend:
    """Where FastCGI is spoken: a unix socket or a port of this machine."""

    name: str
    path: str = ""
    port: int = 0

    @property
    def address(self):
        return f"unix:{self.path}" if self.path else f"127.0.0.1:{self.port}"

    @property
    def keeps_connections(self):
        """Whether a kept connection costs the backend nothing: one of PHP-FPM's occupies a worker."""
        return self.name != PHP


@dataclass(frozen=True)
class Surroundings:
    """A folder of this run with all that servers need."""

    run: Path
    backends: dict
    user: str  # whom servers run as that are started by root; empty where it is not root who starts them

    @contextmanager
    def folder(self):
        """An empty folder for what a server writes: its owner is who it runs as."""
        folder = Path(tempfile.mkdtemp(dir=self.run))
        _give_to(self.user, folder)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)

    @property
    def root(self):
        return self.run / "www"

    @property
    def certificate(self):
        return self.run / "certificate.pem"

    @property
    def key(self):
        return self.run / "key.pem"

    @property
    def upload(self):
        return self.run / "upload.bin"


@contextmanager
def prepared():
    """Everything but the servers, until the block ends."""
    _allow_descriptors()
    with ExitStack() as stack:
        run = Path(tempfile.mkdtemp(prefix="fcgate-bench-"))
        stack.callback(shutil.rmtree, run, ignore_errors=True)
        run.chmod(0o711)
        user = "www-data" if os.geteuid() == 0 else ""
        _write_files(run)
        _write_certificate(run)
        _give_to(user, run / "key.pem")
        backends = {
            PHP: stack.enter_context(_php_fpm(run, user)),
            RESPONDER_UNIX: stack.enter_context(_responder(run, Backend(RESPONDER_UNIX, path=f"{run}/responder.sock"))),
            RESPONDER_TCP: stack.enter_context(_responder(run, Backend(RESPONDER_TCP, port=free_port()))),
        }
        yield Surroundings(run, backends, user)


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connects(address):
    """Whether somebody accepts connections at a port or a path."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as probe:
        return probe.connect_ex(address) == 0


def _allow_descriptors():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _write_files(run):
    root = run / "www"
    (root / "many").mkdir(parents=True)
    for name, size in (("1k.html", 1 << 10), ("100k.html", 100 << 10), ("64m.bin", 64 << 20)):
        _write(root / name, b"x" * size)
    for number in range(MANY_FILES):
        _write(root / "many" / f"{number}.html", b"x" * (1 << 10))
    # The application of almost no cost goes by these names; PHP runs the first.
    for name in ("hello", "slow", "1m", "64m", "upload"):
        _write(root / f"{name}.php", b'<?php header("Content-Type: text/plain"); echo "Hello from PHP\\n";')
    _write(run / "upload.bin", b"x" * (64 << 20))


def _write(path, content):
    path.write_bytes(content)
    os.utime(path, (MODIFIED, MODIFIED))


def _write_certificate(run):
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        f" -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {run}/key.pem -out {run}/certificate.pem"
    )
    subprocess.run(command.split(), check=True, capture_output=True)


def _give_to(user, path):
    """For servers that give up root."""
    if user:
        account = pwd.getpwnam(user)
        os.chown(path, account.pw_uid, account.pw_gid)


@contextmanager
def _php_fpm(run, user):
    program = next(filter(shutil.which, ("php-fpm8.2", "php-fpm8.4", "php-fpm")), "php-fpm")
    values = {"RUN": run, "USER": f"user = {user}\ngroup = {user}" if user else ""}
    config = run / "php-fpm.conf"
    config.write_text(template.render("php-fpm.conf", values))
    backend = Backend(PHP, path=f"{run}/php.sock")
    log = run / "php-fpm.out"
    with running([program, "--nodaemonize", "--fpm-config", config], log) as process:
        wait_until(lambda: connects(backend.path), process, "PHP-FPM", log)
        yield backend


@contextmanager
def _responder(run, backend):
    log = run / f"{backend.name}.out"
    with running([RESPONDER, "fastcgi", backend.address], log) as process:
        address = backend.path or ("127.0.0.1", backend.port)
        wait_until(lambda: connects(address), process, "the responder", log)
        if backend.path:
            os.chmod(backend.path, 0o666)
        yield backend

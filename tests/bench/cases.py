"""The cases: what is measured, of which servers, and what fcgate is to reach."""

from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Callable

from load import H2load, Handshakes, Wrk
from measure import Idle, ManySites, Start, Under, Waiting
from servers import Setting
from surroundings import MODIFIED, PHP, RESPONDER_TCP

PEERS = ("nginx", "apache", "caddy", "lighttpd", "h2o")
STATIC = ("fcgate", *PEERS, "floor")
SECURE = ("fcgate", *PEERS)
FASTCGI = ("fcgate", "nginx", "apache", "apache-reuse", "caddy", "lighttpd", "h2o")
PHP_SERVERS = ("fcgate", "nginx", "nginx-keep", "apache", "apache-reuse", "caddy", "lighttpd", "h2o")
BEST = "best"

# What `BEST` is the best of; those that leave clients without an answer are none to be compared with.
RIVALS = ("nginx", "apache", "apache-reuse", "caddy", "lighttpd", "h2o")


@dataclass(frozen=True)
class Target:
    """A bound for one figure of fcgate's: absolute, or relative to a peer's in the same run."""

    figure: str
    bound: float
    peer: str = ""
    at_least: bool = False


@dataclass(frozen=True)
class Case:
    """One table of the results."""

    name: str
    title: str
    measure: Callable  # (server, surroundings, seconds, whether it is the first repetition) → figures
    servers: tuple = STATIC
    targets: tuple = ()
    chart: bool = field(default=True)  # whether CPU for each request is what it is about


def cpu(bound, peer="nginx"):
    """A target for the CPU time of a request."""
    return Target("cpu_us", bound, peer)


NOT_MODIFIED = ("If-Modified-Since: " + formatdate(MODIFIED, usegmt=True),)
NO_STALL = Target("stalled", 0)
NO_ERROR = Target("errors", 0)

ALL = (
    Case("static-1k", "1 KiB file, HTTP/1.1, 64 connections", Under(Wrk()), targets=(cpu(0.9), cpu(1.0, BEST))),
    Case(
        "static-1k-no-log",
        "1 KiB file without an access log",
        Under(Wrk(), Setting(log=False)),
        targets=(cpu(0.9), cpu(1.0, BEST)),
    ),
    Case("static-100k", "100 KiB file", Under(Wrk("/100k.html")), targets=(cpu(1.0),)),
    Case(
        "static-64m",
        "64 MiB file, 4 connections",
        Under(H2load("/64m.bin", clients=4, requests=32, http1=True)),
        SECURE,
        (cpu(1.0),),
    ),
    Case("not-found", "404", Under(Wrk("/none.html", status=404)), targets=(cpu(1.0),)),
    Case("not-modified", "304", Under(Wrk(headers=NOT_MODIFIED, status=304)), SECURE, (cpu(1.0),)),
    Case(
        "new-connection",
        "1 KiB file, a connection for each request",
        Under(Wrk(headers=("Connection: close",))),
        targets=(cpu(1.0),),
    ),
    Case("tls-1k", "1 KiB file, TLS", Under(Wrk(tls=True)), SECURE, (cpu(0.8),)),
    Case("tls-100k", "100 KiB file, TLS", Under(Wrk("/100k.html", tls=True)), SECURE, (cpu(0.8),)),
    Case(
        "tls-handshake",
        "full handshake and a 1 KiB file",
        Under(Handshakes()),
        SECURE,
        (cpu(0.8),),
    ),
    Case(
        "h2-1k",
        "1 KiB file, HTTP/2 over TLS, 8 connections with 32 streams",
        Under(H2load(clients=8, streams=32, tls=True)),
        SECURE,
        (cpu(1.0), cpu(1.0, "h2o")),
    ),
    Case(
        "fastcgi-hello",
        "FastCGI over a unix socket, 64 connections",
        Under(Wrk("/hello.php"), watch=True),
        FASTCGI,
        (cpu(0.9), NO_STALL),
    ),
    Case(
        "fastcgi-hello-tcp",
        "FastCGI over TCP, 64 connections",
        Under(Wrk("/hello.php"), Setting(backend=RESPONDER_TCP), watch=True),
        FASTCGI,
        (cpu(0.9), NO_STALL),
    ),
    Case(
        "php-hello",
        "PHP, 32 clients on 8 children",
        Under(Wrk("/hello.php", connections=32), Setting(backend=PHP), watch=True),
        PHP_SERVERS,
        (cpu(0.6), Target("requests_per_s", 1.3, "nginx", at_least=True), NO_STALL),
    ),
    Case(
        "fastcgi-1m",
        "FastCGI answer of 1 MiB, 16 connections",
        Under(Wrk("/1m.php", connections=16, warm_requests=100)),
        FASTCGI,
        (cpu(0.9),),
    ),
    Case(
        "fastcgi-64m",
        "FastCGI answer of 64 MiB, 4 connections",
        Under(H2load("/64m.php", clients=4, requests=16, http1=True)),
        FASTCGI,
        (cpu(0.9),),
    ),
    Case(
        "upload-64m",
        "upload of 64 MiB, 2 connections",
        Under(H2load("/upload.php", clients=2, requests=8, http1=True, upload=True)),
        FASTCGI,
        (cpu(1.0, BEST),),
    ),
    Case(
        "one-client",
        "FastCGI, one client",
        Under(Wrk("/hello.php", connections=1)),
        FASTCGI,
        (Target("p50_ms", 0.9, "nginx"),),
    ),
    Case(
        "slow-backend",
        "1 000 clients on a backend of a second",
        Waiting(1000),
        FASTCGI,
        (Target("requests_per_s", 0.95, "nginx", at_least=True), NO_ERROR, NO_STALL),
        chart=False,
    ),
    Case(
        "idle-memory",
        "memory for an idle connection",
        Idle(2000, Wrk(connections=16)),
        SECURE,
        (Target("kib_per_connection", 4),),
        chart=False,
    ),
    Case(
        "idle-memory-tls",
        "memory for an idle connection, TLS",
        Idle(1000, Wrk(connections=16, tls=True), tls=True),
        SECURE,
        (Target("kib_per_connection", 20),),
        chart=False,
    ),
    Case(
        "start",
        "start to first answer with 100 sites",
        Start(100),
        SECURE,
        (Target("first_answer_ms", 30),),
        chart=False,
    ),
    Case(
        "many-sites",
        "1 000 sites with 20 rules each, against one",
        ManySites(1000, 20, Wrk()),
        ("fcgate", "nginx"),
        (Target("cpu_to_one_site", 1.05), Target("reload_ms", 100)),
        chart=False,
    ),
)


def selected(known, names):
    """What has these names, or everything where there are none."""
    unknown = set(names) - {each.name for each in known}
    if unknown:
        raise SystemExit(f"bench: no {', '.join(sorted(unknown))}; there are: {', '.join(each.name for each in known)}")
    return [each for each in known if not names or each.name in names]

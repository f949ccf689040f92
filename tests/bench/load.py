"""Load by Debian's wrk and h2load, and what they found.

A `Load` is what clients do; `run` does it and returns a `Sample`. wrk makes requests for a time, h2load does so too or
makes a number of them, for answers so large that what is under way at the end of a time would distort the figure.
"""

import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPORT = Path(__file__).resolve().parent / "wrk" / "report.lua"
MANY = REPORT.with_name("many.lua")

# No load goes on for longer than this beyond its own time: a server that hangs shall not hang the benchmark.
GRACE_SECONDS = 20

# wrk's time begins with its first connection; handshakes of TLS take the longest.
CONNECTED_IN_A_SECOND = 512

# Few clients, since a server that keeps connections to PHP answers no more of them than there are children.
WARM_CLIENTS = 2


@dataclass(frozen=True)
class Sample:
    """What clients saw."""

    requests: int
    seconds: float
    p50_ms: float | None  # unknown where the client does not tell
    p99_ms: float | None
    errors: int
    stalled: int  # answers that came later than two seconds, or clients that got none for as long


@dataclass(frozen=True)
class Wrk:
    """Requests over HTTP/1.1 for some time."""

    path: str = "/1k.html"
    connections: int = 64
    headers: tuple = ()
    tls: bool = False
    status: int = 200
    files: int = 0  # instead of one path: so many files in turn
    warm_requests: int = 2000

    def warm(self, running):
        """A moment of the same, so that caches are full and memory is there."""
        _h2load(running.url(self.path, self.tls), ["--h1", f"-c{WARM_CLIENTS}", f"-n{self.warm_requests}"])

    def run(self, running, seconds):
        """Requests for so many seconds; with many connections for more, which pass until all are there."""
        seconds += self.connections // CONNECTED_IN_A_SECOND
        script = MANY if self.files else REPORT
        headers = [word for header in self.headers for word in ("-H", header)]
        command = ["wrk", "-t1", f"-c{self.connections}", f"-d{seconds}s", *headers, "-s", script]
        environment = os.environ | {"BENCH_FILES": str(self.files), "BENCH_REPORT": str(REPORT)}
        told = _run([*command, running.url(self.path, self.tls)], seconds, environment)
        found = json.loads(told.splitlines()[-1])
        refused = 0 if self.status >= 400 else found["refused"]
        return Sample(
            found["requests"],
            found["microseconds"] / 1e6,
            found["p50"] / 1e3,
            found["p99"] / 1e3,
            found["broken"] + refused,
            found["late"],
        )


@dataclass(frozen=True)
class H2load:
    """Requests over HTTP/2, or HTTP/1.1 with `requests` of them in all for each second that was asked for."""

    path: str = "/1k.html"
    clients: int = 8
    streams: int = 1
    requests: int = 0  # for each second; 0: for a time, and not in number
    http1: bool = False
    tls: bool = False
    upload: bool = False
    status: int = 200

    def warm(self, running):
        """One request for each client, or enough to fill caches."""
        requests = self.clients if self.requests else 2000
        _h2load(running.url(self.path, self.tls), [*self._words(running), f"-n{requests}"])

    def run(self, running, seconds):
        """Requests for so many seconds, or as many as are to be made in them."""
        amount = f"-n{self.requests * seconds}" if self.requests else f"-D{seconds}"
        with tempfile.NamedTemporaryFile("r", dir=running.folder) as log:
            words = [*self._words(running), amount, f"--log-file={log.name}"]
            told = _h2load(running.url(self.path, self.tls), words, seconds)
            times = sorted(int(line.split()[2]) for line in log)
        done, failed = map(int, _groups(r"(\d+) done, .*?(\d+) failed", told))
        amount, unit = _groups(r"finished in ([\d.]+)(us|ms|s)", told)
        refused = sum(map(int, _groups(r"(\d+) 4xx, (\d+) 5xx", told)))
        seconds = float(amount) / {"us": 1e6, "ms": 1e3, "s": 1}[unit]
        late = sum(time > 2_000_000 for time in times)
        return Sample(done, seconds, percentile(times, 50) / 1e3, percentile(times, 99) / 1e3, failed + refused, late)

    def _words(self, running):
        words = [f"-c{self.clients}", f"-m{self.streams}"]
        words += ["--h1"] if self.http1 else []
        return words + (["-d", str(running.surroundings.upload)] if self.upload else [])


@dataclass(frozen=True)
class Handshakes:
    """Connections with a full handshake and one request each, for some time; wrk's resume their sessions."""

    clients: int = 8
    path: str = "/1k.html"
    tls: bool = True
    status: int = 200

    def warm(self, running):
        """As many connections as a second has time for."""
        self.run(running, 1)

    def run(self, running, seconds):
        """Each client is a process of its own, since OpenSSL's asks one thing at a time."""
        place = f"127.0.0.1:{running.tls_port}"
        command = ["openssl", "s_time", "-connect", place, "-new", "-tls1_3", "-www", self.path, "-time", str(seconds)]
        began = time.monotonic()
        everybody = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(self.clients)]
        told = [client.communicate(timeout=seconds + GRACE_SECONDS)[0] for client in everybody]
        took = time.monotonic() - began
        made = sum(int(re.search(r"(\d+) connections in \d+ real seconds", text)[1]) for text in told)
        failed = sum(client.returncode != 0 for client in everybody)
        return Sample(made, took, None, None, failed, 0)


def percentile(ordered, percent):
    """The value below which so many per cent of the values lie; of none: 0."""
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0


def _h2load(url, words, seconds=0):
    return _run(["h2load", "-t1", *words, url], seconds, None)


def _groups(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise RuntimeError(f"h2load does not tell what it should: {text}")
    return found.groups()


def _run(command, seconds, environment):
    finished = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=seconds + GRACE_SECONDS, env=environment
    )
    if finished.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {finished.stderr.strip() or finished.stdout.strip()}")
    return finished.stdout

"""One measurement: a server is started, warmed up, measured and ended. The result are figures by name.

requests_per_s, p50_ms, p99_ms, cpu_us (of the whole process tree, for each request), memory_mib (its peak), errors,
stalled; and what single cases add.
"""

import http.client
import socket
import time
from dataclasses import dataclass

import clients
import processes
from servers import Setting, started

KIB, MIB = 1 << 10, 1 << 20

# Until a server has put away what it needs for a connection at work.
SETTLE_SECONDS = 2.5


@dataclass(frozen=True)
class Under:
    """A server under a load."""

    load: object
    setting: Setting = Setting()
    watch: bool = False  # whether clients look for a stall in the first repetition, which wrk's never see

    def __call__(self, server, surroundings, seconds, first):
        with started(server, self.setting, surroundings) as running:
            expect(running, self.load)
            self.load.warm(running)
            figures = loaded(running, lambda: self.load.run(running, seconds))
            if self.watch and first:
                figures["stalled"] += clients.stalled(running, self.load.path, self.load.connections)
            return figures


def expect(running, load):
    """Whether the server answers what it should; a wrong answer is often a fast one."""
    if load.path.startswith("/64m"):
        return
    headers = dict(header.split(": ", 1) for header in getattr(load, "headers", ()))
    status, _, content = running.get(load.path, load.tls, headers)
    if status != load.status:
        raise RuntimeError(f"{load.path}: {status} and not {load.status}")
    size = {"/1k.html": KIB, "/100k.html": 100 * KIB, "/1m.php": MIB}.get(load.path)
    if status == 200 and size and len(content) != size:
        raise RuntimeError(f"{load.path}: {len(content)} bytes and not {size}")


def loaded(running, load):
    """The figures of a server while the load runs."""
    pid = running.process.pid
    with processes.PeakMemory(pid) as peak:
        before = processes.cpu_seconds(pid)
        sample = load()
        used = processes.cpu_seconds(pid) - before
    if not sample.requests:
        raise RuntimeError("no request was answered")
    figures = {
        "requests_per_s": sample.requests / sample.seconds,
        "p50_ms": sample.p50_ms,
        "p99_ms": sample.p99_ms,
        "cpu_us": used * 1e6 / sample.requests,
        "memory_mib": peak.bytes / MIB,
        "errors": sample.errors,
        "stalled": sample.stalled,
    }
    return {name: value for name, value in figures.items() if value is not None}


@dataclass(frozen=True)
class Waiting:
    """Many clients at once on a backend that takes a second."""

    clients: int
    rounds: int = 3

    def __call__(self, server, surroundings, *_):
        with started(server, Setting(), surroundings) as running:
            return loaded(running, lambda: clients.answered(running, "/slow.php", self.clients, self.rounds))


@dataclass(frozen=True)
class Idle:
    """Memory of connections that have had an answer and stay, after others had theirs."""

    connections: int
    traffic: object
    tls: bool = False

    def __call__(self, server, surroundings, *_):
        with started(server, Setting(), surroundings) as running:
            before = self._settled(running)
            with clients.idle(running, self.connections, self.tls):
                after = self._settled(running)
        return {"kib_per_connection": (after - before) / self.connections / KIB}

    def _settled(self, running):
        self.traffic.run(running, 1)
        time.sleep(SETTLE_SECONDS)
        return processes.memory(running.process.pid)


@dataclass(frozen=True)
class Start:
    """Time from the start of the program to its first answer."""

    sites: int

    def __call__(self, server, surroundings, *_):
        with started(server, Setting(sites=self.sites), surroundings) as running:
            return {"first_answer_ms": running.first_answer * 1e3}


@dataclass(frozen=True)
class ManySites:
    """What a request costs among many sites with many rules, against one site with as many."""

    sites: int
    rules: int
    load: object

    def __call__(self, server, surroundings, seconds, first):
        alone = Under(self.load, Setting(rules=self.rules))(server, surroundings, seconds, first)
        with started(server, Setting(sites=self.sites, rules=self.rules), surroundings) as running:
            self.load.warm(running)
            figures = loaded(running, lambda: self.load.run(running, seconds))
            figures["cpu_to_one_site"] = figures["cpu_us"] / alone["cpu_us"]
            if server.name == "fcgate":
                figures["reload_ms"] = _reload_seconds(running) * 1e3
        return figures


def _reload_seconds(running):
    """How long fcgate takes to have taken a changed configuration."""
    configuration = running.folder / "configuration"
    configuration.write_text(configuration.read_text().replace("/new/", "/newer/"))
    connection = http.client.HTTPConnection("admin")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(running.folder / "admin.sock"))
    began = time.monotonic()
    connection.request("POST", "/reload")
    answer = connection.getresponse()
    answer.read()
    took = time.monotonic() - began
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the reload was refused: {answer.status}")
    return took

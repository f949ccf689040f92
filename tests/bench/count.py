"""How many instructions a request costs fcgate, counted by Callgrind: a figure that no noise touches.

Only what runs in the program counts, not the kernel. One client asks one thing after the other, so that each request pays
for the whole way from the kernel and back: the figures are for comparing with themselves, on any machine.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

import processes
from cases import NOT_MODIFIED, selected
from clients import connected, read_answer
from servers import FCGATE_SERVER, Setting, started, trusting, unconfined
from surroundings import OPENAT2, prepared

RECORDED = Path(__file__).resolve().parent / "instructions.json"

# What is more than this above the record is a regression: more than another version of libc makes, and less than what a
# profile (profile/) that fits no longer costs.
THRESHOLD = 0.15


@dataclass(frozen=True)
class Counted:
    """One figure."""

    name: str
    requests: int
    work: Callable  # (running, number of requests): makes them


def _one_after_another(path, *fields, tls=False):
    """Requests over one connection of HTTP/1.1."""

    def work(running, number):
        with connected(running, trusting() if tls else None) as client:
            for _ in range(number):
                client.sendall(_request(path, fields))
                read_answer(client)

    return work


def _on_new_connections(tls):
    """Requests over a connection each, without resumption of TLS."""

    def work(running, number):
        for _ in range(number):
            with connected(running, trusting() if tls else None) as client:
                client.sendall(_request("/1k.html", ("Connection: close",)))
                read_answer(client)

    return work


def _request(path, fields):
    head = "".join(f"{field}\r\n" for field in ("Host: localhost", *fields))
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()


def _http2(running, number):
    """Requests over one connection of HTTP/2 with as many streams as browsers open for one page."""
    command = ["h2load", "-t1", "-c1", "-m32", f"-n{number}", running.url("/1k.html", tls=True)]
    subprocess.run(command, check=True, capture_output=True)


ALL = (
    Counted("static-1k", 500, _one_after_another("/1k.html")),
    Counted("static-100k", 500, _one_after_another("/100k.html")),
    Counted("not-found", 500, _one_after_another("/none.html")),
    Counted("not-modified", 500, _one_after_another("/1k.html", *NOT_MODIFIED)),
    Counted("new-connection", 100, _on_new_connections(tls=False)),
    Counted("tls-1k", 500, _one_after_another("/1k.html", tls=True)),
    Counted("tls-handshake", 50, _on_new_connections(tls=True)),
    Counted("h2-1k", 500, _http2),
    Counted("fastcgi-hello", 500, _one_after_another("/hello.php")),
    # How many reads such an answer takes depends on who is faster: means of 20 differ by up to 10 %, of 500 by 3 %.
    Counted("fastcgi-1m", 500, _one_after_another("/1m.php")),
)


def main(options):
    """Counts, tells, compares with the record or makes a new one; a regression ends it with an error."""
    missing = [str(name) for name in ("valgrind", FCGATE_SERVER.program, OPENAT2) if not shutil.which(name)]
    if missing:
        raise SystemExit(f"bench: not installed or not built: {', '.join(missing)}")
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    chosen = selected(ALL, options.cases)
    with prepared() as surroundings, started(_watched(), Setting(), surroundings) as running:
        found = {case.name: _counted(running, case, recorded.get(case.name)) for case in chosen}
    if options.record:
        RECORDED.write_text(json.dumps(recorded | found, indent=4) + "\n")
        return
    more = [name for name, instructions in found.items() if instructions > recorded.get(name, 0) * (1 + THRESHOLD)]
    if more:
        raise SystemExit(f"bench: over {THRESHOLD:.0%} above the record: {', '.join(more)} (`make bench-record` if it must)")


def _watched():
    """fcgate under Callgrind, with its server, which is a child."""

    def command(configuration):
        if os.geteuid() == 0:
            # Callgrind opens its pipes and files again and again, also as another user.
            os.chown(configuration.parent, 0, 0)
            unconfined(configuration, 'user = "root"\n')
        else:
            unconfined(configuration)
        output = f"--callgrind-out-file={configuration.parent}/counts.%p"
        watched = ["valgrind", "--tool=callgrind", "--trace-children=yes", "--quiet", output]
        return [*watched, *FCGATE_SERVER.command(configuration)]

    return replace(FCGATE_SERVER, command=command, environment={"LD_PRELOAD": str(OPENAT2)})


def _counted(running, case, recorded):
    instructions = _instructions(running, case)
    words = f"{case.name:16} {instructions:>12,} instructions/request"
    if recorded:
        words += f", recorded {recorded:,} ({instructions / recorded - 1:+.1%})"
    print(words, flush=True)
    return instructions


def _instructions(running, case):
    """Instructions for each request, after some that are not counted."""
    case.work(running, case.requests // 2)
    server = processes.tree(running.process.pid)[1]
    _control(server, "--zero")
    case.work(running, case.requests)
    _control(server, "--dump")
    dumps = sorted(running.folder.glob(f"counts.{server}.*"), key=lambda path: int(path.suffix[1:]))
    total = re.search(r"^totals: (\d+)", dumps[-1].read_text(), re.MULTILINE)
    return int(total[1]) // case.requests


def _control(server, action):
    subprocess.run(["callgrind_control", action, str(server)], check=True, capture_output=True)


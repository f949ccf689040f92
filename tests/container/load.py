#!/usr/bin/env python3
"""Clients for scripts/test-container; standard library only.

    load.py steady HOST:PORT PATH SECONDS [CLIENTS]
        Clients on kept connections, one request after another. Prints the longest answer. Any other status than 200, and
        any connection that breaks, is a failure.
    load.py retrying PATH SECONDS HOST:PORT HOST:PORT ...
        What a TCP load balancer does: a new connection for each request, to the addresses in turn; where it is refused
        the next address is tried. All that fails after the connection stands is a failure.

Exit code 1 if there was a failure or fewer than ten requests.
"""

import http.client
import socket
import sys
import threading
import time


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.answered = 0
        self.longest = 0.0
        self.failures = []

    def add(self, took, failure):
        with self.lock:
            self.longest = max(self.longest, took)
            if failure is None:
                self.answered += 1
            else:
                self.failures.append(failure)


def ask(connection, path):
    connection.request("GET", path)
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        return f"status {response.status}: {content[:200]!r}"
    return None


def steady(tally, where, path, until):
    connection = http.client.HTTPConnection(*where, timeout=30)
    while time.monotonic() < until:
        begun = time.monotonic()
        try:
            failure = ask(connection, path)
        except (OSError, http.client.HTTPException) as error:
            failure = repr(error)
            connection.close()
            time.sleep(0.1)
        tally.add(time.monotonic() - begun, failure)
        time.sleep(0.01)


def connect(addresses, turn):
    """A connection to the first that accepts one, for ten seconds."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        for step in range(len(addresses)):
            try:
                return socket.create_connection(addresses[(turn + step) % len(addresses)], timeout=2)
            except OSError:
                continue
        time.sleep(0.02)
    raise OSError("no gateway accepted a connection for 10 s")


def retrying(tally, addresses, path, until):
    turn = 0
    while time.monotonic() < until:
        begun = time.monotonic()
        try:
            connection = http.client.HTTPConnection("gateway", timeout=30)
            connection.sock = connect(addresses, turn)
            connection.sock.settimeout(30)
            failure = ask(connection, path)
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            failure = repr(error)
        tally.add(time.monotonic() - begun, failure)
        turn += 1
        time.sleep(0.01)


def main():
    kind, *rest = sys.argv[1:]
    tally = Tally()
    if kind == "steady":
        where, path, seconds = address(rest[0]), rest[1], float(rest[2])
        clients = int(rest[3]) if len(rest) > 3 else 4
        work, arguments = steady, (where, path)
    elif kind == "retrying":
        path, seconds, clients = rest[0], float(rest[1]), 4
        work, arguments = retrying, ([address(text) for text in rest[2:]], path)
    else:
        sys.exit(__doc__)
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=work, args=(tally, *arguments, until)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"answered={tally.answered} failed={len(tally.failures)} longest_ms={tally.longest * 1000:.0f}")
    for failure in tally.failures[:10]:
        print(f"  {failure}", file=sys.stderr)
    sys.exit(0 if tally.answered >= 10 and not tally.failures else 1)


main()

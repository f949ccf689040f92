"""Clients that wrk cannot be: ones that notice who gets no answer, and ones that stay without a request."""

import selectors
import socket
import time
from contextlib import ExitStack, contextmanager

from load import Sample, percentile
from servers import trusting

# A client that has no answer for so long is stalled.
STALL_SECONDS = 2

# Beyond this the clients are given up, however many answers are missing.
PATIENCE_SECONDS = 15

MIB = 1 << 20


class Client:
    """One client on one connection: a request, its whole answer, the next request."""

    def __init__(self, port, path):
        self.request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self.times = []
        self.failed = False
        self.waits = True
        self.longest = 0.0
        self.asked = time.monotonic()
        self.received = b""
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self.socket.setblocking(False)

    def ask(self):
        """Sends the next request, which is small enough for any socket's buffer."""
        self.asked = time.monotonic()
        self.received = b""
        self.socket.send(self.request)

    def hear(self):
        """Reads what is there; true where an answer is whole."""
        try:
            read = self.socket.recv(MIB)
        except OSError:
            read = b""
        self.received += read
        if not read or not self.received.startswith((b"HTTP/1.1 200", b"HTTP/1.1 200"[: len(self.received)])):
            self.failed = True
            return False
        if not _is_whole(self.received):
            return False
        waited = time.monotonic() - self.asked
        self.times.append(waited)
        self.longest = max(self.longest, waited)
        return True

    def end(self):
        """Closes; who still waits has waited until now."""
        if self.waits:
            self.longest = max(self.longest, time.monotonic() - self.asked)
        self.socket.close()


def _is_whole(received):
    """Whether an answer has come to its end, which its length or its last chunk tells."""
    head, separator, content = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    if head.startswith(b"HTTP/1.1 304"):
        return True
    _, found, length = head.lower().partition(b"content-length:")
    return len(content) >= int(length.split(b"\r\n")[0]) if found else content.endswith(b"0\r\n\r\n")


def answered(running, path, clients, rounds):
    """So many clients with so many requests each, all at once: what they saw."""
    began = time.monotonic()
    everybody = _converse(running.port, path, clients, PATIENCE_SECONDS, rounds)
    took = time.monotonic() - began
    times = sorted(time for client in everybody for time in client.times)
    missing = clients * rounds - len(times)
    stalled = sum(client.longest >= STALL_SECONDS for client in everybody)
    return Sample(len(times), took, percentile(times, 50) * 1e3, percentile(times, 99) * 1e3, missing, stalled)


def stalled(running, path, clients):
    """How many of so many clients, each with request after request, are without an answer for two seconds."""
    everybody = _converse(running.port, path, clients, STALL_SECONDS + 0.5, None)
    return sum(client.longest >= STALL_SECONDS for client in everybody)


def _converse(port, path, clients, seconds, rounds):
    """Lets clients ask for so many seconds, or until each has had its number of answers."""
    everybody = [Client(port, path) for _ in range(clients)]
    deadline = time.monotonic() + seconds
    with selectors.EpollSelector() as selector:
        for client in everybody:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.ask()
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                _step(key.data, selector, rounds)
        for client in everybody:
            client.end()
    return everybody


def _step(client, selector, rounds):
    whole = client.hear()
    if client.failed or (whole and len(client.times) == rounds):
        selector.unregister(client.socket)
        client.waits = False
    elif whole:
        client.ask()


@contextmanager
def idle(running, count, tls):
    """So many connections that have had one answer each, until the block ends."""
    context = trusting()
    request = b"GET /1k.html HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(connected(running, context if tls else None))
            client.sendall(request)
            read_answer(client)
        yield


def connected(running, context=None):
    """A connection whose small writes do not wait for each other; with a context it speaks TLS."""
    port = running.tls_port if context else running.port
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain) if context else plain


def read_answer(client):
    """Reads one answer to its end from a socket that blocks."""
    received = b""
    while not _is_whole(received):
        read = client.recv(MIB)
        if not read:
            raise RuntimeError(f"the connection was closed within an answer: {received[:200]}")
        received += read

"""The servers that are compared: how each is configured and started.

Each is tuned as its documentation advises for such a load; the templates in servers/ say what that is. fcgate has its
defaults.
"""

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import processes
import template
from surroundings import FCGATE, RESPONDER, RESPONDER_UNIX, Surroundings, free_port


@dataclass(frozen=True)
class Setting:
    """What a case asks of a server's configuration."""

    backend: str = RESPONDER_UNIX
    sites: int = 0
    rules: int = 0
    log: bool = True


@dataclass(frozen=True)
class Server:
    """One column of the tables."""

    name: str
    program: str
    command: Callable  # (configuration, surroundings, port) → the words of the command
    values: Callable = field(default=lambda backend, user: {})  # (backend, user) → what its template needs besides
    files: str = ""  # the first part of its templates' names; empty: it has no configuration
    environment: dict = field(default_factory=dict)

    def version(self):
        """The version that the program tells, or nothing."""
        flag = {"caddy": "version", "fcgate": "--version", "h2o": "-v"}.get(self.files, "-v")
        told = subprocess.run([self.program, flag], capture_output=True, text=True, check=False) if self.files else None
        found = re.search(r"\d+(\.\d+)+", told.stdout + told.stderr) if told else None
        return f"{self.files} {found[0]}" if found else ""

    def configuration(self, setting, surroundings, folder, port, tls_port):
        """The text of its configuration file; what it writes goes into the folder."""
        backend = surroundings.backends[setting.backend]
        values = {
            "RUN": folder,
            "ROOT": surroundings.root,
            "CERTIFICATE": surroundings.certificate,
            "KEY": surroundings.key,
            "PORT": port,
            "TLS_PORT": tls_port,
            "USER": "",
        }
        values |= self.values(backend, surroundings.user)
        values["RULES"] = template.repeated(f"{self.files}.rule", setting.rules, values)
        values["SITES"] = template.repeated(f"{self.files}.site", setting.sites, values)
        suffix = "toml" if self.files == "fcgate" else "conf"
        return template.render(f"{self.files}.{suffix}", values, setting.log)


@dataclass
class Running:
    """A server that answers."""

    process: subprocess.Popen
    surroundings: Surroundings
    folder: Path
    port: int
    tls_port: int
    first_answer: float  # seconds from its start

    def url(self, path, tls=False):
        return f"https://127.0.0.1:{self.tls_port}{path}" if tls else f"http://127.0.0.1:{self.port}{path}"

    def get(self, path, tls=False, headers=None):
        """One request: status, fields, content."""
        if tls:
            connection = http.client.HTTPSConnection("127.0.0.1", self.tls_port, timeout=10, context=trusting())
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


def trusting():
    """TLS without a look at the certificate, which is our own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def started(server, setting, surroundings):
    """The server with this setting, from its first answer on until the block ends."""
    port, tls_port = free_port(), free_port()
    with surroundings.folder() as folder:
        configuration = folder / "configuration"
        if server.files:
            configuration.write_text(server.configuration(setting, surroundings, folder, port, tls_port))
        log = folder / "output"
        command = server.command(configuration, surroundings, port)
        began = time.monotonic()
        with processes.running(command, log, os.environ | {"HOME": str(folder)} | server.environment) as process:
            processes.wait_until(lambda: _answers(port), process, server.name, log)
            yield Running(process, surroundings, folder, port, tls_port, time.monotonic() - began)


def _answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as client:
            client.sendall(b"GET /1k.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return client.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _nginx(keeping):
    def values(backend, user):
        keep = keeping or backend.keeps_connections
        return {
            "BACKEND": backend.address,
            "KEEP_CONN": "on" if keep else "off",
            "KEEP_ALIVE": "keepalive 64;" if keep else "",
            "USER": f"user {user};" if user else "",
        }

    return values


def _apache(reusing):
    def values(backend, user):
        handler = f"proxy:{backend.address}|fcgi://backend/" if backend.path else f"proxy:fcgi://{backend.address}/"
        return {
            "HANDLER": handler,
            "PROXY": "fcgi://backend/" if backend.path else f"fcgi://{backend.address}/",
            "REUSE": "on" if reusing else "off",
            "USER": f"User {user}\nGroup {user}" if user else "",
        }

    return values


def _caddy(backend, _user):
    return {"BACKEND": f"unix/{backend.path}" if backend.path else backend.address}


def _lighttpd(backend, user):
    place = f'"socket" => "{backend.path}"' if backend.path else f'"host" => "127.0.0.1", "port" => {backend.port}'
    return {
        "BACKEND": place,
        "USER": f'server.username = "{user}"\nserver.groupname = "{user}"' if user else "",
    }


def _h2o(backend, user):
    place = f"{{ port: {backend.path}, type: unix }}" if backend.path else f"{{ host: 127.0.0.1, port: {backend.port} }}"
    return {
        "BACKEND": place,
        "KEEP_ALIVE": 60000 if backend.keeps_connections else 0,
        "USER": f"user: {user}" if user else "",
    }


FCGATE_SERVER = Server(
    "fcgate",
    str(FCGATE),
    lambda configuration, surroundings, port: [FCGATE, "run", "-c", configuration],
    lambda backend, user: {"BACKEND": backend.address},
    "fcgate",
)

ALL = (
    FCGATE_SERVER,
    Server("nginx", "nginx", lambda configuration, *_: ["nginx", "-c", configuration], _nginx(False), "nginx"),
    # With connections that are kept to PHP too, which nobody should do: it shows why.
    Server("nginx-keep", "nginx", lambda configuration, *_: ["nginx", "-c", configuration], _nginx(True), "nginx"),
    Server(
        "apache",
        "apache2",
        lambda configuration, *_: ["apache2", "-DFOREGROUND", "-f", configuration],
        _apache(False),
        "apache",
    ),
    Server(
        "apache-reuse",
        "apache2",
        lambda configuration, *_: ["apache2", "-DFOREGROUND", "-f", configuration],
        _apache(True),
        "apache",
    ),
    Server(
        "caddy",
        "caddy",
        lambda configuration, *_: ["caddy", "run", "--adapter", "caddyfile", "--config", configuration],
        _caddy,
        "caddy",
    ),
    Server("lighttpd", "lighttpd", lambda configuration, *_: ["lighttpd", "-D", "-f", configuration], _lighttpd, "lighttpd"),
    Server("h2o", "h2o", lambda configuration, *_: ["h2o", "-c", configuration], _h2o, "h2o"),
    Server(
        "floor",
        str(RESPONDER),
        lambda configuration, surroundings, port: [RESPONDER, "floor", f"127.0.0.1:{port}", surroundings.root],
    ),
)


def named(name):
    """The server of this name."""
    return next(server for server in ALL if server.name == name)


def missing():
    """The programs that are not there."""
    return sorted({server.program for server in ALL if not shutil.which(server.program)})

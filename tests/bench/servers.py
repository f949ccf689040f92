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
    command: Callable  # (configuration) → the words of the command
    values: Callable  # (backend, user) → what its template needs besides
    template: str  # in servers/; the same name with .rule and .site is what is repeated in it
    version: tuple = ("-v",)  # what makes the program tell its version
    environment: dict = field(default_factory=dict)

    @property
    def program(self):
        """What must be installed."""
        return str(self.command("")[0])

    @property
    def product(self):
        """The name of the program, whatever its settings here."""
        return self.template.partition(".")[0]

    def told_version(self):
        """The program and the version that it tells."""
        told = subprocess.run([self.program, *self.version], capture_output=True, text=True, check=False)
        found = re.search(r"\d+(\.\d+)+", told.stdout + told.stderr)
        return f"{self.product} {found[0] if found else ''}"

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
        values["RULES"] = template.repeated(f"{self.product}.rule", setting.rules, values)
        values["SITES"] = template.repeated(f"{self.product}.site", setting.sites, values)
        return template.render(self.template, values, setting.log)


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
        configuration.write_text(server.configuration(setting, surroundings, folder, port, tls_port))
        log = folder / "output"
        command = server.command(configuration)
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


def _floor(_backend, _user):
    return {}


def _run_nginx(configuration):
    return ["nginx", "-c", configuration]


def _run_apache(configuration):
    return ["apache2", "-DFOREGROUND", "-f", configuration]


def _run_caddy(configuration):
    return ["caddy", "run", "--adapter", "caddyfile", "--config", configuration]


def unconfined(configuration, keys=""):
    """Turns the sandbox off, for what watches the server: it makes system calls and files of its own."""
    text = configuration.read_text()
    configuration.write_text(text.replace("[server]\n", f'[server]\nsandbox = "off"\n{keys}', 1))


FCGATE_SERVER = Server(
    "fcgate",
    lambda configuration: [FCGATE, "run", "-c", configuration],
    lambda backend, user: {"BACKEND": backend.address},
    "fcgate.toml",
    ("--version",),
)

ALL = (
    FCGATE_SERVER,
    Server("nginx", _run_nginx, _nginx(keeping=False), "nginx.conf"),
    # With connections that are kept to PHP too, which nobody should do: it shows why.
    Server("nginx-keep", _run_nginx, _nginx(keeping=True), "nginx.conf"),
    Server("apache", _run_apache, _apache(reusing=False), "apache.conf"),
    Server("apache-reuse", _run_apache, _apache(reusing=True), "apache.conf"),
    Server("caddy", _run_caddy, _caddy, "caddy.conf", ("version",)),
    Server("lighttpd", lambda configuration: ["lighttpd", "-D", "-f", configuration], _lighttpd, "lighttpd.conf"),
    Server("h2o", lambda configuration: ["h2o", "-c", configuration], _h2o, "h2o.conf"),
    Server("floor", lambda configuration: [RESPONDER, "floor", configuration], _floor, "floor.conf"),
)


def named(name):
    """The server of this name."""
    return next(server for server in ALL if server.name == name)


def missing():
    """The programs that are not there."""
    return sorted({server.program for server in ALL if not shutil.which(server.program)})

"""What fcgate does while its profile is taken (`make profile`): the loads of all cases, and what browsers ask of a site.

The compiler makes fast and puts side by side what was seen often, and makes small what was never seen. So each way
that requests of a site go is in it, and not only what is compared with others.
"""

import http.client
from dataclasses import replace

import cases
from load import H2load, Wrk
from measure import ManySites, Under
from servers import FCGATE_SERVER, Setting, started, trusting, unconfined
from surroundings import PHP, prepared

# What a browser sends with each request.
BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: https://www.example.org/blog/2025/a-post?page=2",
    "Cookie: session=0123456789abcdef0123456789abcdef; consent=yes",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Priority: u=0, i",
)

PAGE = "/blog/2026/another-post?page=3&order=date"

SITE = (
    Under(Wrk("/1k.html?v=1", headers=BROWSER)),
    Under(Wrk("/100k.html?v=1", headers=BROWSER)),
    Under(Wrk("/many/17.html", headers=(*BROWSER, "Range: bytes=100-299"), status=206)),
    Under(Wrk("/many/0.html", headers=BROWSER, files=1000)),
    Under(Wrk("/old/page", headers=BROWSER, status=301)),
    Under(Wrk(PAGE, headers=BROWSER)),
    Under(Wrk(PAGE, headers=BROWSER, tls=True)),
    Under(H2load(PAGE, streams=8, tls=True)),
    Under(Wrk("/app/hello.php/some/path?x=1", headers=(*BROWSER, "Connection: close"))),
    Under(Wrk(PAGE, headers=BROWSER, connections=32), Setting(backend=PHP)),
    Under(H2load("/hello.php", streams=4, tls=True), Setting(backend=PHP)),
    # With a reload, so that reading a configuration is in it.
    ManySites(200, 20, Wrk("/1k.html?v=1", headers=BROWSER)),
)

# Each so often as one client asks it in a second or two.
ONE_CLIENT = (
    ("GET", "/1k.html", None, {}),
    ("HEAD", "/1k.html", None, {}),
    ("GET", "/hello.php?x=%C3%A9&y=1", None, {}),
    ("POST", "/hello.php", b"name=value&text=" + b"a+few+words+" * 20, {"Content-Type": "application/x-www-form-urlencoded"}),
    ("POST", "/upload.php", b"x" * 50_000, {"Content-Type": "application/octet-stream"}),
    ("POST", "/upload.php", iter, {"Content-Type": "application/json"}),
    ("GET", "/1k.html", None, {"If-None-Match": '"none", W/"other"'}),
    ("GET", "/wp-content/uploads/x.php", None, {}),
    ("GET", "/readme.html", None, {}),
    ("GET", "/.git/config", None, {}),
    ("OPTIONS", "/1k.html", None, {}),
)
ROUNDS = 500


def main(options):
    """Works with the program that is given, which writes its counts at its end."""

    def command(configuration):
        unconfined(configuration)
        return [options.program, "run", "-c", configuration]

    comparing = replace(FCGATE_SERVER, command=command)
    as_site = replace(comparing, template="fcgate.training")
    loads = [case for case in cases.ALL if isinstance(case.measure, Under)]
    with prepared() as surroundings:
        for case in loads:
            _work(comparing, case.measure, surroundings, options.seconds, case.name)
        for number, under in enumerate(SITE):
            _work(as_site, under, surroundings, options.seconds, f"site {number}")
        for tls in (False, True):
            with started(as_site, Setting(), surroundings) as running:
                _ask(running, tls)


def _work(server, under, surroundings, seconds, name):
    figures = under(server, surroundings, seconds, False)
    print(f"{name:20} {figures['requests_per_s']:10.0f} requests/s", flush=True)
    if figures["errors"]:
        raise SystemExit(f"bench: {name}: {figures['errors']} errors")


def _ask(running, tls):
    """Everything of ONE_CLIENT by turns, over one connection."""
    if tls:
        connection = http.client.HTTPSConnection("127.0.0.1", running.tls_port, context=trusting())
    else:
        connection = http.client.HTTPConnection("127.0.0.1", running.port)
    fields = dict(field.split(": ", 1) for field in BROWSER)
    for _ in range(ROUNDS):
        for method, path, content, more in ONE_CLIENT:
            # An iterator has no length: it is sent in chunks.
            content = iter([b"{" + b" " * 2000, b"}"]) if content is iter else content
            connection.request(method, path, content, fields | more)
            connection.getresponse().read()
    connection.close()

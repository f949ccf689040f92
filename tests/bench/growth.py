"""GROWTH.md: the same requests with more and more connections, rules and files, and what bends the curves."""

import math
from dataclasses import dataclass
from typing import Callable

from chart import COLOURS, Drawing
from load import Wrk
from measure import Under
from report import machine, table_of
from servers import Setting

CONNECTIONS = (1, 8, 64, 512, 4096)
AMOUNTS = (1, 100, 10_000)
SERVERS = ("fcgate", "nginx", "lighttpd", "h2o")


@dataclass(frozen=True)
class Curve:
    """One figure that may grow, over something that does."""

    name: str
    title: str
    over: str
    amounts: tuple
    measure: Callable  # an amount → a measurement
    servers: tuple
    note: str  # what bends it


ALL = (
    Curve(
        "connections",
        "1 KiB file over HTTP/1.1",
        "connections",
        CONNECTIONS,
        lambda amount: Under(Wrk(connections=amount)),
        SERVERS,
        "With more connections each look at the kernel finds more that is ready, so that a request costs less. Beyond 512 it"
        " costs more, probably as what a server holds for all of them is no longer in the processor's caches: fcgate about 40 KiB"
        " for a connection at work, of which 16 KiB are hyper's buffers.",
    ),
    Curve(
        "tls-connections",
        "1 KiB file over TLS",
        "connections",
        CONNECTIONS,
        lambda amount: Under(Wrk(connections=amount, tls=True)),
        SERVERS,
        "The handshakes of all connections lie within the measured time: at 4 096 they are much of it.",
    ),
    Curve(
        "fastcgi-connections",
        "FastCGI over a unix socket",
        "connections",
        CONNECTIONS,
        lambda amount: Under(Wrk("/hello.php", connections=amount)),
        SERVERS,
        "fcgate opens as many connections to the application as it has requests at once, and gives each back after 80 ms; nginx"
        " keeps 64 and opens new ones for what is beyond them.",
    ),
    Curve(
        "rules",
        "1 KiB file behind rules that do not match",
        "rules",
        AMOUNTS,
        lambda amount: Under(Wrk(), Setting(rules=amount)),
        ("fcgate", "nginx"),
        "fcgate goes through one list of what the paths of its rules begin with, in their order, and looks at those that may match;"
        " nginx looks for prefixes in a tree.",
    ),
    Curve(
        "files",
        "files of 1 KiB, in turn",
        "files",
        AMOUNTS,
        lambda amount: Under(Wrk(files=amount)),
        SERVERS,
        "A file that is not in a server's own cache is opened anew; its content is in the kernel's all the same.",
    ),
)

INTRODUCTION = """\
# Growth

![CPU time per request](growth.svg)

Written by `make bench-growth`: {repetitions} × {seconds} s, medians, the servers in turn; otherwise as in
[RESULTS.md](RESULTS.md).

{machine}

"""

PANEL, COLUMNS = (430, 250), 2
MARGIN = 46


def write(folder, results, seconds, repetitions):
    """Writes the page and its picture; the results are lists of one for each amount, by curve."""
    text = INTRODUCTION.format(repetitions=repetitions, seconds=seconds, machine=machine())
    for curve, points in results:
        text += f"## {curve.name}\n\nCPU µs per request: {curve.title}, by the number of {curve.over}.\n\n{curve.note}\n\n"
        text += table_of(["server", *(f"{amount:,}" for amount in curve.amounts)], _lines(curve, points))
        text += "".join(f"\n{server} with {amount:,} failed: {why}\n" for server, amount, why in _failures(curve, points))
        text += "\n"
    (folder / "GROWTH.md").write_text(text)
    (folder / "growth.svg").write_text(_draw(results).svg())


def _lines(curve, points):
    for server in curve.servers:
        values = [point.median(server, "cpu_us") for point in points]
        yield [server, *("–" if value is None else f"{value:,.1f}" for value in values)]


def _failures(curve, points):
    for amount, point in zip(curve.amounts, points):
        for server, reason in point.failures.items():
            yield server, amount, reason


def _draw(results):
    rows = math.ceil(len(results) / COLUMNS)
    width = PANEL[0] * COLUMNS + 2 * 20
    drawing = Drawing(width, 70 + PANEL[1] * rows, "CPU time of each request as things grow")
    drawing.text(20, 32, "CPU µs of each request", font_size=18, font_weight="bold")
    drawing.legend([server for server in COLOURS if server in SERVERS], 20, 58)
    for index, (curve, points) in enumerate(results):
        left = 20 + PANEL[0] * (index % COLUMNS)
        _Panel(drawing, left, 70 + PANEL[1] * (index // COLUMNS), curve, points).draw()
    return drawing


class _Panel:
    """One curve's part of the picture; both axes are logarithmic."""

    def __init__(self, drawing, left, top, curve, points):
        self.drawing, self.curve = drawing, curve
        self.left, self.right = left + MARGIN, left + PANEL[0] - 20
        self.top, self.bottom = top + MARGIN, top + PANEL[1] - MARGIN
        self.values = {
            server: [(amount, value) for amount, point in zip(curve.amounts, points) if (value := point.median(server, "cpu_us"))]
            for server in curve.servers
        }
        found = [value for values in self.values.values() for _, value in values] or [1]
        self.low, self.high = math.floor(math.log2(min(found))), math.ceil(math.log2(max(found)) + 0.01)

    def draw(self):
        """The axes and a line for each server."""
        self.drawing.text(self.left, self.top - 12, self.curve.title, font_weight="bold")
        for exponent in range(self.low, self.high + 1):
            y = self._y(2**exponent)
            self.drawing.line([(self.left, y), (self.right, y)], stroke="#ddd")
            self.drawing.text(self.left - 6, y + 4, f"{2**exponent:g}", text_anchor="end", font_size=11, fill="#555")
        for amount in self.curve.amounts:
            words = f"{amount:,}" if amount != self.curve.amounts[-1] else f"{amount:,} {self.curve.over}"
            self.drawing.text(self._x(amount), self.bottom + 16, words, text_anchor="middle", font_size=11, fill="#555")
        for server, values in self.values.items():
            places = [(self._x(amount), self._y(value)) for amount, value in values]
            self.drawing.line(places, stroke=COLOURS[server], stroke_width=3 if server == "fcgate" else 1.5)
            for place, (amount, value) in zip(places, values):
                self.drawing.dot(*place, 4, COLOURS[server], f"{server}, {amount:,} {self.curve.over}: {value:,.1f} µs")

    def _x(self, amount):
        share = math.log(amount) / math.log(self.curve.amounts[-1])
        return self.left + 12 + share * (self.right - self.left - 60)

    def _y(self, value):
        return self.bottom - (math.log2(value) - self.low) / (self.high - self.low) * (self.bottom - self.top)

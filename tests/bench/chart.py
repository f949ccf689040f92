"""results.svg: the CPU time of each request, relative to nginx's. growth.py draws its curves with the same pen."""

import math
from xml.sax.saxutils import escape

# Colours that differ for the colour-blind too (Okabe and Ito), by server.
COLOURS = {
    "fcgate": "#0072b2",
    "nginx": "#009e73",
    "nginx-keep": "#66c2a5",
    "apache": "#d55e00",
    "apache-reuse": "#e69f00",
    "caddy": "#56b4e9",
    "lighttpd": "#cc79a7",
    "h2o": "#8a6d00",
    "floor": "#999999",
}
PEER = "nginx"

WIDTH, LEFT, RIGHT = 900, 190, 70
TOP, ROW, BOTTOM = 92, 26, 44
LOW, HIGH = 0.25, 16


class Drawing:
    """An SVG picture with a white ground, so that it can be read on a dark page too."""

    def __init__(self, width, height, title):
        self.width, self.height, self.title = width, height, title
        self.parts = []

    def text(self, x, y, words, **attributes):
        """Words at a place."""
        self._element("text", escape(words), x=round(x, 1), y=round(y, 1), **attributes)

    def line(self, points, **attributes):
        """A line through points."""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._element("polyline", "", points=places, fill="none", **attributes)

    def dot(self, x, y, radius, colour, title):
        """A dot that says what it is to who points at it."""
        words = f"<title>{escape(title)}</title>"
        self._element("circle", words, cx=f"{x:.1f}", cy=f"{y:.1f}", r=radius, fill=colour, stroke="#fff")

    def legend(self, servers, x, y):
        """The colours of servers, in a row."""
        for server in servers:
            self.dot(x, y - 4, 5, COLOURS[server], server)
            self.text(x + 9, y, server, font_size=12, font_weight="bold" if server == "fcgate" else "normal")
            x += 26 + 7 * len(server)

    def svg(self):
        """The picture as text."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img"'
            f' aria-label="{escape(self.title)}" font-family="system-ui, sans-serif" font-size="13" fill="#222">\n'
            f'<rect width="{self.width}" height="{self.height}" rx="8" fill="#fff"/>\n'
        )
        return head + "\n".join(self.parts) + "\n</svg>\n"

    def _element(self, name, content, **attributes):
        words = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in attributes.items())
        self.parts.append(f"<{name}{words}>{content}</{name}>")


def write(path, results):
    """Draws the cases that are about CPU time and have been measured of nginx too."""
    shown = [result for result in results if result.case.chart and result.median(PEER, "cpu_us")]
    path.write_text(_draw(shown).svg())


def _draw(shown):
    height = TOP + ROW * len(shown) + BOTTOM
    drawing = Drawing(WIDTH, height, "CPU time of each request relative to nginx")
    drawing.text(20, 32, "CPU time of each request, relative to nginx", font_size=18, font_weight="bold")
    drawing.text(20, 52, "less is better; each step to the right is twice as much", font_size=12, fill="#555")
    present = [server for server in COLOURS if any(server in result.runs for result in shown)]
    drawing.legend(present, 20, 76)
    _axis(drawing, height - BOTTOM)
    for index, result in enumerate(shown):
        _row(drawing, TOP + ROW * (index + 0.5), result)
    return drawing


def _axis(drawing, bottom):
    ratio = LOW
    while ratio <= HIGH:
        x = _place(ratio)
        own = ratio == 1
        drawing.line([(x, TOP), (x, bottom)], stroke="#009e73" if own else "#ddd", stroke_width=2 if own else 1)
        words = f"{ratio:g} ×" if ratio >= 1 else f"1/{1 / ratio:g} ×"
        drawing.text(x, bottom + 18, words, text_anchor="middle", font_size=12, fill="#555")
        ratio *= 2


def _row(drawing, y, result):
    drawing.text(LEFT - 14, y + 4, result.case.name, text_anchor="end")
    own = result.ratio("cpu_us", PEER)
    peer = result.median(PEER, "cpu_us")
    for server in sorted(result.runs, key=lambda server: server == "fcgate"):
        value = result.median(server, "cpu_us")
        ratio = own if server == "fcgate" else value / peer
        if ratio:
            title = f"{server}: {value:,.1f} µs, {ratio:.2f} × nginx"
            drawing.dot(_place(ratio), y, 8 if server == "fcgate" else 5, COLOURS[server], title)
    if own:
        drawing.text(WIDTH - 14, y + 4, f"{own:.2f} ×", text_anchor="end", font_weight="bold", fill=COLOURS["fcgate"])


def _place(ratio):
    """Where a ratio lies: by its logarithm; what is beyond an end lies at that end."""
    share = math.log(min(max(ratio, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LEFT + share * (WIDTH - LEFT - RIGHT)

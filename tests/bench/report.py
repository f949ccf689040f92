"""RESULTS.md: the targets, then a table for each case."""

import math
import platform
import re
import subprocess
import time
from pathlib import Path

import servers
from surroundings import PROJECT

# The heading of each figure and how it is written.
FIGURES = {
    "cpu_us": ("CPU µs/request", "{:,.1f}"),
    "requests_per_s": ("requests/s", "{:,.0f}"),
    "p50_ms": ("p50 ms", "{:,.2f}"),
    "p99_ms": ("p99 ms", "{:,.2f}"),
    "memory_mib": ("peak memory MiB", "{:,.0f}"),
    "errors": ("errors", "{:,.0f}"),
    "stalled": ("stalled", "{:,.0f}"),
    "kib_per_connection": ("KiB/connection", "{:,.1f}"),
    "first_answer_ms": ("first answer ms", "{:,.1f}"),
    "cpu_to_one_site": ("CPU ÷ one site", "{:.2f}"),
    "reload_ms": ("reload ms", "{:,.0f}"),
}

INTRODUCTION = """\
# What fcgate costs, and what others cost

![CPU time for each request](results.svg)

Written by `make bench`: {repetitions} repetitions of {seconds} s for each case and server, one server after the other in
each, medians; of errors and stalled clients the maximum. Ratios are medians of the ratios within a repetition. **CPU** is user and system time of all processes of the server
per request; `floor` is a program that only sends bytes from memory, the lower bound of any server.
`stalled` counts answers that took more than two seconds, and clients without an answer for two seconds. Clients share the
processors with the server, so requests/s is often limited by the clients.

Files, access logs in the combined format, limits and safety are those of a usual installation; the configurations are in
[servers/](servers). nginx and h2o keep connections to the synthetic application and none to PHP, where a kept connection
occupies a worker; `nginx-keep` keeps them there too, `apache-reuse` is Apache with `enablereuse=on`.

{machine}

{versions}

"""


def write(path, results, seconds, repetitions):
    """Writes the whole report."""
    path.write_text(text(results, seconds, repetitions))


def text(results, seconds, repetitions):
    """The report as Markdown."""
    introduction = INTRODUCTION.format(
        repetitions=repetitions, seconds=seconds, machine=machine(), versions=_versions(results)
    )
    parts = [introduction, targets(results)]
    return "".join(parts + [table(result) for result in results])


def targets(results):
    """Which targets are met."""
    rows = [_target(result, target) for result in results for target in result.case.targets]
    return "## Targets\n\n" + table_of(["case", "target", "measured", "met"], rows) + "\n"


def _target(result, target):
    value, met = result.verdict(target)
    heading, form = FIGURES[target.figure]
    sign = "≥" if target.at_least else "≤"
    bound = f"{target.bound:g} × {target.peer}" if target.peer else f"{target.bound:g}"
    measured = "–" if math.isnan(value) else f"{value:.2f} ×" if target.peer else form.format(value)
    return [result.case.name, f"{heading} {sign} {bound}", measured, "yes" if met else "**no**"]


def table(result):
    """One case: a line for each server."""
    figures = [name for name in FIGURES if name in result.figures()]
    ratio = "cpu_us" in figures
    head = ["server", *(FIGURES[name][0] for name in figures), *(["fcgate's CPU ÷ its"] if ratio else [])]
    rows = [_cells(result, server, figures, ratio) for server in result.runs]
    lines = [f"## {result.case.name}\n\n{result.case.title}.\n\n", table_of(head, rows)]
    lines += [f"\n{server} failed: {reason}\n" for server, reason in result.failures.items()]
    return "".join(lines) + "\n"


def table_of(head, rows):
    """A table of Markdown."""
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (head, ["---"] * len(head), *rows))


def _cells(result, server, figures, ratio):
    values = [(name, result.median(server, name)) for name in figures]
    cells = ["–" if value is None else FIGURES[name][1].format(value) for name, value in values]
    if ratio:
        share = result.ratio("cpu_us", server)
        cells.append("–" if share is None or server == "fcgate" else f"{share:.2f}")
    return [f"**{server}**" if server == "fcgate" else server, *cells]


def machine():
    """What it ran on, without names that are nobody's business."""
    information = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", information)
    cores = information.count("processor\t")
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) / (1 << 20)
    system = re.search(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text())[1]
    date = time.strftime("%Y-%m-%d", time.gmtime())
    kernel = platform.release().split("-")[0]
    name = model[1] if model else platform.machine()
    return f"{date}, {cores} × {name}, {memory:.0f} GiB, {system}, Linux {kernel}; fcgate {_commit()}."


def _commit():
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    return finished.stdout.strip() or "of an unknown commit"


def _versions(results):
    used = {server for result in results for server in result.runs}
    programs = {server.product: server for server in servers.ALL if server.name in used and server.product != "floor"}
    return ", ".join(server.told_version() for server in programs.values()) + "."


def figure(name, value):
    """A figure with its heading, for a line on the terminal."""
    heading, form = FIGURES[name]
    return f"{heading} {form.format(value)}"

"""The benchmark: `python3 tests/bench --help`. `make bench` installs and builds what it needs before."""

import argparse
import signal
import sys
import time
from pathlib import Path
from subprocess import SubprocessError

import cases
import chart
import count
import growth
import report
import servers
import surroundings
import training
from results import Results

HERE = Path(__file__).resolve().parent


def main():
    """Reads the command line and does what it says."""
    options = _arguments()
    # An end by a signal is an end like Ctrl-C: whatever was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended by a signal"))
    options.output.mkdir(parents=True, exist_ok=True)
    options.work(options)


def _arguments():
    parser = argparse.ArgumentParser(prog="tests/bench", description=__doc__)
    commands = parser.add_subparsers(required=True)
    _command(commands, "compare", compare, "fcgate and others: RESULTS.md and results.svg", 2)
    _command(commands, "grow", grow, "with more connections, rules and files: GROWTH.md and growth.svg", 2)
    counting = _command(commands, "count", count.main, "instructions of fcgate for each request", 0)
    counting.add_argument("--record", action="store_true", help="make what is counted the figures to compare with")
    learning = commands.add_parser("train", help="what fcgate does while its profile is taken")
    learning.set_defaults(work=training.main, output=HERE)
    learning.add_argument("--program", type=Path, required=True, help="made by `scripts/build --counting`")
    learning.add_argument("--seconds", type=int, default=1, help="of each load")
    return parser.parse_args()


def _command(commands, name, work, words, seconds):
    parser = commands.add_parser(name, help=words, description=words)
    parser.set_defaults(work=work)
    parser.add_argument("--cases", type=_names, default=[], metavar="NAME,…", help="these; without: all")
    parser.add_argument("--output", type=Path, default=HERE, metavar="FOLDER", help="where what is found is written")
    if seconds:
        parser.add_argument("--seconds", type=int, default=seconds, help="of load for each measurement")
        parser.add_argument("--repetitions", type=int, default=3)
    return parser


def _names(text):
    return [name for name in text.split(",") if name]


def compare(options):
    """All servers in all cases."""
    chosen = cases.selected(cases.ALL, options.cases)
    _programs_are_there()
    with surroundings.prepared() as prepared:
        results = [_measured(case, [(case.name, case.measure)], prepared, options)[0] for case in chosen]
    report.write(options.output / "RESULTS.md", results, options.seconds, options.repetitions)
    chart.write(options.output / "results.svg", results)
    print(report.targets(results))


def grow(options):
    """Each curve from its first amount to its last, again and again."""
    chosen = cases.selected(growth.ALL, options.cases)
    _programs_are_there()
    results = []
    with surroundings.prepared() as prepared:
        for curve in chosen:
            points = [(f"{curve.name} {amount}", curve.measure(amount)) for amount in curve.amounts]
            results.append((curve, _measured(curve, points, prepared, options)))
    growth.write(options.output, results, options.seconds, options.repetitions)


def _programs_are_there():
    missing = servers.missing()
    if missing:
        raise SystemExit(f"bench: not installed or not built: {', '.join(missing)}")


def _measured(case, points, prepared, options):
    """The results of all points of a case; the servers by turns, so that a change of the machine meets all of them."""
    results = [Results(case) for _ in points]
    for repetition in range(options.repetitions):
        for (name, measure), result in zip(points, results):
            for server in case.servers:
                if server not in result.failures:
                    _measure(measure, result, server, (prepared, options.seconds, repetition == 0))
                    _say(name, result, server, repetition)
    return results


def _measure(measure, result, server, conditions):
    """One measurement; one that fails leaves the others as they are, and stands in the report."""
    try:
        result.add(server, measure(servers.named(server), *conditions))
    except (RuntimeError, OSError, SubprocessError) as error:
        result.failures[server] = str(error).strip()


def _say(name, result, server, repetition):
    head = f"{time.strftime('%H:%M:%S')} {name} {repetition + 1} {server}:"
    if server in result.failures:
        print(head, "FAILED:", result.failures[server], file=sys.stderr)
        return
    figures = result.runs[server][-1].items()
    print(head, ", ".join(report.figure(*item) for item in figures), flush=True)


main()

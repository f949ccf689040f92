"""Programs that are started, watched and ended: the CPU time and the memory of a whole tree of processes."""

import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")

# How long a program may take to answer, and to end, before something is wrong with it.
START_SECONDS = 60
STOP_SECONDS = 2

# How often the memory of a tree is looked at: often enough for a peak, rarely enough to cost nothing.
MEMORY_INTERVAL = 0.2


def tree(root):
    """The process and all its descendants. From /proc/*/stat, since /proc/PID/task/*/children needs a kernel option."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat(stat.parent.name)
        if fields:
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def _stat(pid):
    """The fields of /proc/PID/stat from the state on; nothing where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def cpu_seconds(root):
    """User and system time of the tree; with what ended children had, so that a worker's end loses nothing."""
    stats = [_stat(pid) for pid in tree(root)]
    return sum(sum(map(int, fields[11:15])) for fields in stats if fields) / TICKS


def memory(root):
    """Bytes of memory of the tree: PSS, in which what several processes share counts once."""
    return sum(_pss(pid) for pid in tree(root))


def _pss(pid):
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)


class PeakMemory:
    """The most memory that a tree had while the block ran."""

    def __init__(self, root):
        self.root = root
        self.bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        while True:
            self.bytes = max(self.bytes, memory(self.root))
            if self._ended.wait(MEMORY_INTERVAL):
                return


@contextmanager
def running(command, log, environment=None):
    """A program in a session of its own, so that Ctrl-C reaches it through us alone; ended with all it started."""
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=environment
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process):
    members = tree(process.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # What it left behind is in its session, which nobody else is in.
    for pid in members:
        fields = _stat(pid)
        if fields and int(fields[3]) == process.pid:
            os.kill(pid, signal.SIGKILL)


def wait_until(ready, process, what, log):
    """Waits for a condition; the reason of a program that ends instead is in its log."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "".join(Path(log).read_text(errors="replace").splitlines(keepends=True)[-10:])
            raise RuntimeError(f"{what} did not start:\n{tail}")
        time.sleep(0.001)

"""The configurations in servers/: text in which @NAME@ stands for a value.

A line that begins with `%log` is there where an access log is wanted, and one with `%no-log` where it is not.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "servers"


def render(name, values, log=True):
    """The template with its values; a name without a value is a mistake in the template."""
    wanted, unwanted = ("%log ", "%no-log ") if log else ("%no-log ", "%log ")
    lines = (FOLDER / name).read_text().splitlines(keepends=True)
    text = "".join(line.removeprefix(wanted) for line in lines if not line.startswith(unwanted))
    return re.sub(r"@([A-Z_]+)@", lambda found: str(values[found[1]]), text)


def repeated(name, count, values):
    """The template once for each number from 1 to count, which is @N@ in it; nothing where there is no such template."""
    if not (FOLDER / name).exists():
        return ""
    return "".join(render(name, values | {"N": number}) for number in range(1, count + 1))

"""The configurations in servers/: text in which @NAME@ stands for a value."""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "servers"


def render(name, values):
    """The template with its values; a name without a value is a mistake in the template."""
    text = (FOLDER / name).read_text()
    return re.sub(r"@([A-Z_]+)@", lambda found: str(values[found[1]]), text)


def repeated(name, count, values):
    """The template once for each number from 1 to count, which is @N@ in it; nothing where there is no such template."""
    if not (FOLDER / name).exists():
        return ""
    return "".join(render(name, values | {"N": number}) for number in range(1, count + 1))

"""Write the pages that are made from the code: `make docs`."""

import html
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo

from rtcai_pulumi.config.emulator import ENVIRONMENT_VARIABLES, OFF_OPTIONS, ChangeableSettings, EmulatorSettings
from rtcai_pulumi.events.schema import event_schema_text
from tools.reference.program import describe_type, program_page
from tools.reference.testing import safety_page, testing_page

ROOT: Final = Path(__file__).parents[2]
_TABLE: Final = re.compile(
    r"(?<=<!-- settings: written by `make docs` -->\n).*?(?=<!-- end of settings -->)", re.DOTALL
)
_HEAD: Final = """\
| `Emulator(…)` | command | `/-/settings` | values | default | |
|---|---|---|---|---|---|
"""


def emulator_page() -> str:
    """Return the page about the emulator with its table of settings; the rest of it is written by hand."""
    table = _HEAD + "".join(_row(name, field) for name, field in EmulatorSettings.model_fields.items())
    return _TABLE.sub(lambda _: table, (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8"))


def _row(name: str, field: FieldInfo) -> str:
    option = f"--{(OFF_OPTIONS[name].name if name in OFF_OPTIONS else name).replace('_', '-')}"
    cells = [
        f"`{name}`",
        f"`{ENVIRONMENT_VARIABLES.get(name, option)}`",
        f"`{field.alias}`" if name in ChangeableSettings.model_fields else "–",
        describe_type(field),
        "–" if field.default is None else f"`{field.default}`",
        field.description,
    ]
    return f"| {' | '.join(map(str, cells))} |\n"


def command_page() -> str:
    """Return the page of the command `rtcai` in Markdown: its help texts, as the library generates them."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "cli.md"
        command = [sys.executable, "-m", "typer", "rtcai_pulumi.cli.app", "utils", "docs", "--name", "rtcai"]
        title = ["--title", "The command `rtcai`", "--output", str(page)]
        subprocess.run([*command, *title], check=True, stdout=subprocess.DEVNULL)
        return html.unescape(page.read_text(encoding="utf-8"))


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/cli.md": command_page,
    "docs/emulator.md": emulator_page,
    "docs/reference.md": program_page,
    "docs/safety.md": safety_page,
    "docs/testing.md": testing_page,
    "schemas/event.schema.json": event_schema_text,
}
"""The text of each page, by its path in the repository."""

if __name__ == "__main__":
    for name, text in PAGES.items():
        (ROOT / name).write_text(text(), encoding="utf-8")
        print(f"docs: {name}")

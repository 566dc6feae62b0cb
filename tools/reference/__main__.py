"""Write the pages that are made from the code: `make docs`."""

import html
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from rtcai_pulumi.events.schema import event_schema_text
from tools.reference.emulator import emulator_page
from tools.reference.program import program_page
from tools.reference.testing import safety_page, testing_page

ROOT: Final = Path(__file__).parents[2]


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

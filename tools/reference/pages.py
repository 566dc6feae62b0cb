"""The pages, and the source of each."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from rtcai_pulumi.events.schema import event_schema_text
from tools.reference.command import command_page
from tools.reference.emulator import emulator_page
from tools.reference.program import program_page
from tools.reference.safety import safety_page
from tools.reference.testing import testing_page

ROOT: Final = Path(__file__).parents[2]
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/cli.md": command_page,
    "docs/emulator.md": emulator_page,
    "docs/reference.md": program_page,
    "docs/safety.md": safety_page,
    "docs/testing.md": testing_page,
    "schemas/event.schema.json": event_schema_text,
}
"""The text of each page, by its path in the repository."""

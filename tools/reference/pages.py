"""The pages, and what each is made from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tools.reference.command import command_page
from tools.reference.program import program_page

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGES: Final[Mapping[str, Callable[[], str]]] = {"cli.md": command_page, "reference.md": program_page}
"""Each page's text, by its file in docs/."""

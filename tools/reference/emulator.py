"""The table of settings in the page about the emulator; the rest of that page is written by hand."""

import re
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo

from rtcai_pulumi.config.emulator import ENVIRONMENT_VARIABLES, OFF_OPTIONS, ChangeableSettings, EmulatorSettings
from tools.reference.program import describe_type

_PAGE: Final = Path(__file__).parents[2] / "docs" / "emulator.md"
_TABLE: Final = re.compile(
    r"(?<=<!-- settings: written by `make docs` -->\n).*?(?=<!-- end of settings -->)", re.DOTALL
)
_HEAD: Final = """\
| `Emulator(…)` | command | `/-/settings` | values | default | |
|---|---|---|---|---|---|
"""


def emulator_page() -> str:
    """Return the page in Markdown."""
    table = _HEAD + "".join(_row(name, field) for name, field in EmulatorSettings.model_fields.items())
    return _TABLE.sub(lambda _: table, _PAGE.read_text(encoding="utf-8"))


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

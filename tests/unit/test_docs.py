"""What the docs say of the tests is true."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_safety_page_names_is_there() -> None:
    text = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
    file = ""
    named = re.findall(r"`(tests/[\w/]+(?:\.py)?)?(?:::(test_\w+))?`", text)
    assert len([name for _, name in named if name]) > 15
    for path, name in named:
        file = path or file
        if path:
            assert (ROOT / path).exists(), path
        if name:
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"

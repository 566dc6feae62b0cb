"""The reference pages agree with the code."""

import pytest

from tools.reference.__main__ import PAGES, ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_fresh(name: str) -> None:
    written = (ROOT / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run `make docs`"

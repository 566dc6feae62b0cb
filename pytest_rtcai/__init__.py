"""A plugin of pytest: the fixture `rtcai_emulator`, a running emulator of the RTC-AI service for one test.

pytest loads this at the start of every run in an environment where rtcai-pulumi is installed. So it is a package of its
own and imports nothing of rtcai_pulumi before a test asks for the fixture: that would load the Pulumi SDK.
"""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rtcai_pulumi.emulator import Emulator

_EXTRA = ("jinja2", "starlette", "uvicorn")
_MARK = "rtcai_emulator"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, so that `--strict-markers` takes it."""
    config.addinivalue_line("markers", f"{_MARK}(**settings): how the fixture `rtcai_emulator` is to behave")


@pytest.fixture
def rtcai_emulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> "Iterator[Emulator]":
    """An empty emulator that runs for one test, and the environment of a program that is to use it.

    Until the end of the test ``RTCAI_ENDPOINT``, ``RTCAI_APP_KEY`` and ``RTCAI_APP_SECRET`` lead to it,
    ``RTCAI_JOURNAL`` is a file of the test's own, and every other ``RTCAI_…`` variable is taken away. Keywords of the
    mark, as in ``@pytest.mark.rtcai_emulator(dedup="replay")``, are those of `rtcai_pulumi.emulator.Emulator`.
    Without the extra ``emulator`` the test fails and names it.
    """
    try:
        from rtcai_pulumi.emulator import Emulator  # noqa: PLC0415  see the docstring of the module
    except ModuleNotFoundError as missing:
        if missing.name not in _EXTRA:
            raise
        pytest.fail(f"fixture rtcai_emulator: {missing}", pytrace=False)
    # The mark that is nearest to the test has the last word on each setting.
    marks = [mark.kwargs for mark in request.node.iter_markers(_MARK)][::-1]
    settings = {name: value for mark in marks for name, value in mark.items()}
    known = list(signature(Emulator).parameters)
    for name in settings:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}"
            pytest.fail(f"mark {_MARK}: unknown setting {name}; {hint}", pytrace=False)
    with Emulator(**settings) as emulator:
        for name in [name for name in os.environ if name.startswith("RTCAI_")]:
            monkeypatch.delenv(name)
        for name, value in emulator.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("RTCAI_JOURNAL", str(tmp_path / "rtcai-journal.db"))
        yield emulator

"""A pytest plugin with the fixture `rtcai_emulator`: a running emulator of the RTC AI service for one test.

pytest loads this plugin at the start of every run in an environment where rtcai-pulumi is installed. So it is a
separate package, and imports nothing from rtcai_pulumi until a test uses the fixture: that import would load the Pulumi
SDK.
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
    """Register the marker, so `--strict-markers` accepts it."""
    config.addinivalue_line("markers", f"{_MARK}(**settings): how the fixture `rtcai_emulator` is to behave")


@pytest.fixture
def rtcai_emulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> "Iterator[Emulator]":
    """An empty emulator that runs for one test, and the environment for a program that uses it.

    Until the end of the test, ``RTCAI_ENDPOINT``, ``RTCAI_APP_KEY`` and ``RTCAI_APP_SECRET`` point to the emulator,
    ``RTCAI_JOURNAL`` is a file used only by this test, and every other ``RTCAI_…`` variable is removed. The keyword
    arguments of the marker, as in ``@pytest.mark.rtcai_emulator(dedup="replay")``, are those of
    `rtcai_pulumi.emulator.Emulator`. If the extra ``emulator`` is not installed, the test fails with a message that
    names it.
    """
    try:
        from rtcai_pulumi.emulator import Emulator  # noqa: PLC0415  see the docstring of the module
    except ModuleNotFoundError as missing:
        if missing.name not in _EXTRA:
            raise
        pytest.fail(f"fixture rtcai_emulator: {missing}", pytrace=False)
    # For each setting, the marker closest to the test takes precedence.
    marks = [mark.kwargs for mark in request.node.iter_markers(_MARK)][::-1]
    settings = {name: value for mark in marks for name, value in mark.items()}
    known = list(signature(Emulator).parameters)
    for name in settings:
        if name not in known:
            matches = get_close_matches(name, known, 1)
            hint = f"did you mean {matches[0]}?" if matches else f"it takes {', '.join(known)}"
            pytest.fail(f"mark {_MARK}: unknown setting {name}; {hint}", pytrace=False)
    with Emulator(**settings) as emulator:
        for name in [name for name in os.environ if name.startswith("RTCAI_")]:
            monkeypatch.delenv(name)
        for name, value in emulator.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("RTCAI_JOURNAL", str(tmp_path / "rtcai-journal.db"))
        yield emulator

"""Every test starts from a scrubbed environment: a developer's credentials and stacks are never used."""

import os
from pathlib import Path

import pytest

# Imported before any test has run, and so before the environment is scrubbed.
from tests.live.account import WHY_NOT_RUN


@pytest.fixture(autouse=True)
def scrubbed_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith(("RTCAI_", "PULUMI_")):
            monkeypatch.delenv(name)
    own: Path = tmp_path_factory.mktemp("own")
    monkeypatch.setenv("XDG_STATE_HOME", str(own / "state"))
    monkeypatch.setenv("PULUMI_HOME", str(own / "pulumi"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that the service itself was not asked: tests that are not collected would otherwise go unseen."""
    if WHY_NOT_RUN:
        terminalreporter.write_line(f"live tests: not run ({WHY_NOT_RUN})")

"""Every test starts from a scrubbed environment: a developer's credentials and stacks are never used."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def scrubbed_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith(("RTCAI_", "PULUMI_")):
            monkeypatch.delenv(name)
    own: Path = tmp_path_factory.mktemp("own")
    monkeypatch.setenv("XDG_STATE_HOME", str(own / "state"))
    monkeypatch.setenv("PULUMI_HOME", str(own / "pulumi"))

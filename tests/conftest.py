"""Every test starts from a scrubbed environment, and every run ends with a report of the time that the tests took."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

# Imported before any test has run, so before the environment is scrubbed.
from tests.live.account import WHY_NOT_RUN
from tests.postgres.server import Server, running_server
from tests.tiers import mistakes, shown_by, target_of

SLOWEST = 10


@pytest.fixture(autouse=True)
def scrubbed_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A developer's credentials and stacks are never used."""
    for name in list(os.environ):
        if name.startswith(("RTCAI_", "PULUMI_")):
            monkeypatch.delenv(name)
    own: Path = tmp_path_factory.mktemp("own")
    monkeypatch.setenv("XDG_STATE_HOME", str(own / "state"))
    monkeypatch.setenv("PULUMI_HOME", str(own / "pulumi"))


@pytest.fixture(scope="session")
def database_server() -> Iterator[Server]:
    """A PostgreSQL server; every test uses a schema of its own."""
    with running_server("-c", "fsync=off") as server:  # no test takes the machine's power away
        yield server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--collected", type=Path, help="write which target runs each test, and what it shows, as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse markers that make no sense. With --collected, write the collected tests before pytest deselects any."""
    if found := list(mistakes(items)):
        raise pytest.UsageError("\n".join(found))
    file: Path | None = config.getoption("collected")
    if file is not None:
        described = [
            {
                "file": item.nodeid.partition("::")[0],
                "name": item.nodeid.partition("[")[0].rpartition("::")[2],
                "target": target_of(item),
                "shows": shown_by(item),
            }
            for item in items
        ]
        file.write_text(json.dumps(described), encoding="utf-8")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report the time that the tests took, so growth is visible, and whether the service itself was called."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid] += report.duration
    parts: dict[str, list[float]] = defaultdict(list)
    for test, spent in seconds.items():
        parts["/".join(test.split("/")[:2])].append(spent)
    if len(seconds) > SLOWEST:
        terminalreporter.section("time")
        for part, spents in sorted(parts.items(), key=lambda part: -sum(part[1])):
            terminalreporter.write_line(f"{sum(spents):8.1f} s  {part} ({len(spents)} tests)")
        terminalreporter.write_line(f"The {SLOWEST} slowest:")
        for test, spent in sorted(seconds.items(), key=lambda test: -test[1])[:SLOWEST]:
            terminalreporter.write_line(f"{spent:8.1f} s  {test}")
    if WHY_NOT_RUN:
        # Otherwise no one would notice tests that are not collected.
        terminalreporter.write_line(f"live tests: not run ({WHY_NOT_RUN})")

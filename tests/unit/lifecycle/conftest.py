"""Runs of the plugin on one journal: in a file, and in a database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtcai_pulumi.journal.location import Location, parse_location
from tests.postgres.server import Server
from tests.unit.lifecycle.fakes import Runs

DATABASE = pytest.param("database", marks=pytest.mark.full("the same rules, which do not know where the journal is"))


@pytest.fixture(params=["file", DATABASE])
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runs]:
    location: Location = tmp_path / "journal.db"
    if request.param == "database":
        server: Server = request.getfixturevalue("database_server")
        location = parse_location(server.url())
    made = Runs(location)
    yield made
    made.end()

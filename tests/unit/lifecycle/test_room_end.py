"""A room whose resource is deleted, and that is not ended."""

from typing import Any

import pytest

from rtcai_pulumi.lifecycle.room import delete_room
from tests.unit.lifecycle.fakes import Runs, Service, reply

OUTPUTS: dict[str, Any] = {
    "cname": "big hall",
    "cid": "7",
    "owner": "backend:urn:hall",
    "appKey": "the-key",
    "roomEndpoint": "http://service.test",
}


@pytest.mark.parametrize(
    ("more", "members"), [({"total": 2}, "number of members: 2"), ({}, "number of members unknown")]
)
def test_a_room_that_is_left_open_names_the_command_that_ends_it(
    runs: Runs, more: dict[str, int], members: str
) -> None:
    service = Service(rooms=reply(code=200, cid=7, cname="big hall", **more))
    delete_room(OUTPUTS, runs.next(service))
    assert service.calls == ["rooms"]
    (warning,) = runs.reports
    assert f"room big hall (cid 7) was not ended, because someone may be in it ({members})." in warning
    assert "Pulumi no longer manages it." in warning
    assert "`rtcai end-room 'big hall'` ends it now and disconnects everyone." in warning

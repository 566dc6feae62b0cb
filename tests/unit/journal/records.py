"""Records, and another process that writes them, for the tests of the journal."""

import subprocess
import sys

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.location import DatabaseUrl, Location
from rtcai_pulumi.journal.record import Record

WRITER = """
import sys
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.location import parse_location
from rtcai_pulumi.journal.record import Record
journal = Journal(parse_location(sys.argv[1]))
for number in range(int(sys.argv[2])):
    trace = f"{journal.process}-{number}"
    record = Record(trace_id=trace, owner="o", app_key="k", endpoint="e", room_endpoint="e", cname="r",
        request_id="q", digest="d", process=journal.process)
    journal.add(record)
    journal.record_response(record, number, "task")
    print(trace, flush=True)
sys.stdin.read()
"""


def a_record(journal: Journal, trace_id: str = "t-1", owner: str = "owner", process: int | None = None) -> Record:
    return Record(
        trace_id=trace_id,
        owner=owner,
        app_key="key",
        endpoint="http://service.test",
        room_endpoint="http://service.test",
        cname="keynote",
        request_id="r-1",
        digest="digest",
        process=journal.process if process is None else process,
    )


def text_of(location: Location) -> str:
    """The location as `RTCAI_JOURNAL` has it, with the password."""
    if isinstance(location, DatabaseUrl):
        mark = "&" if "?" in location.url else "?"
        return f"{location.url}{mark}schema={location.schema}"
    return str(location)


def writer(location: Location, count: int) -> subprocess.Popen[str]:
    """Another process that writes records, prints their trace ids, and then waits."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, text_of(location), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]

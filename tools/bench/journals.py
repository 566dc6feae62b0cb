"""What a journal in a database costs: the same rooms with the journal in a file and in a database, in turns."""

import statistics
import tempfile
from pathlib import Path

from tests.postgres.server import running_server
from tools.bench.rooms import WAYS, create_stack, serve


def compare(rooms: int, rounds: int) -> dict[str, float]:
    """Return the number of rooms, and the median seconds of an `up` and a `destroy` with each journal."""
    times: dict[str, list[float]] = {}
    with running_server() as server:
        for number in range(rounds):
            with tempfile.TemporaryDirectory() as name, serve(0) as endpoint:
                more = {"RTCAI_ENDPOINT": endpoint, "BENCH_ROOMS": str(rooms)}
                journals = {"file": more, "database": {**more, "RTCAI_JOURNAL": server.url()}}
                stacks = {
                    kind: create_stack(Path(name) / kind, "ours", checkpoints=False, more=environment)
                    for kind, environment in journals.items()
                }
                for command in ("up", "destroy"):
                    for kind in sorted(stacks, reverse=bool(number % 2)):
                        seconds, _ = stacks[kind].run(WAYS["ours"][command])
                        times.setdefault(f"{command}, {kind}", []).append(seconds)
    return {"rooms": rooms, **{name: statistics.median(taken) for name, taken in times.items()}}

"""`make bench`: the lines, the table, the chart and the page; and one run of a few rooms with the real engine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.bench.__main__ import write_docs
from tools.bench.report import IMPORTS, Results, RoomResults, Series, collect_series, write_text
from tools.bench.rooms import CHECKPOINTED, COMMANDS, WAYS, Step, create_stack, describe_conversation, serve

PAGE = "before\n<!-- bench: written by `make bench` -->\nold results\n<!-- end of bench -->\nafter\n"


def series(way: str, command: str, fixed: float, per_room: float, *, square: float = 0) -> Series:
    seconds = {rooms: fixed + per_room * rooms + square * rooms**2 for rooms in (10, 100, 300, 1000)}
    return Series(way=way, checkpoints=False, command=command, seconds={size: [it] for size, it in seconds.items()})


def results(*measured: Series) -> Results:
    return Results(rooms=RoomResults(machine="one round", service_seconds=0, series=list(measured)))


def rows(text: str) -> list[list[str]]:
    """The rows of all tables: the words of their cells."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]


def test_the_rounds_of_a_step_are_one_series() -> None:
    steps = [Step("ours", False, "up", rooms, seconds) for rooms, seconds in [(10, 3.0), (20, 9.0), (10, 1.0)]]
    (only,) = collect_series(steps)
    assert only.seconds == {10: [3.0, 1.0], 20: [9.0]}
    assert only.medians == {10: 2.0, 20: 9.0}


def test_a_line_has_the_fixed_cost_and_the_cost_of_a_room() -> None:
    line = series("ours", "up", 1.5, 0.01).fit_line()
    assert line is not None
    assert line.fixed == pytest.approx(1.5)
    assert line.per_room == pytest.approx(0.01)


def test_a_cost_that_grows_with_the_square_is_no_line() -> None:
    assert series("ours", "up", 1.5, 0.001, square=0.0001).fit_line() is None


def test_one_size_is_no_line() -> None:
    assert Series(way="ours", checkpoints=False, command="up", seconds={10: [1.0]}).fit_line() is None


def test_the_table_compares_lines_with_the_floor() -> None:
    text = write_text(results(series("floor", "up", 1, 0.01), series("ours", "up", 1.2, 0.0125)))
    ours = next(row for row in rows(text) if row[:2] == ["up", "ours"])
    assert ours == ["up", "ours", "1.32", "2.45", "4.95", "13.70", "1.20", "12.50", "0.20", "1.25"]


def test_the_table_compares_the_largest_event_where_there_is_no_line() -> None:
    floor, ours = (series(way, "up", 1, 0.001, square=0.0001) for way in ("floor", "ours"))
    last = [row[-4:] for row in rows(write_text(results(floor, ours))) if row[:2] == ["up", "ours"]]
    assert last == [["no line", "", "", "1.00 at 1000"]]


def test_the_table_shows_the_spread_of_rounds() -> None:
    rounds = Series(way="ours", checkpoints=True, command="up", seconds={10: [2.0, 1.0, 4.0]})
    assert "2.00 (1.00–4.00)" in write_text(results(rounds))


def test_the_table_has_the_seconds_of_the_default_pace() -> None:
    text = write_text(results(series("ours", "up", 1, 0.01)))
    assert ["up", "*pace*", "0.2", "2.0", "6.0", "20.0"] in [row[:6] for row in rows(text)]


def test_the_table_says_that_a_way_was_not_measured() -> None:
    assert "OpenTofu: not measured" in write_text(results(series("ours", "up", 1, 0.01)))
    assert "not measured" not in write_text(results(series("OpenTofu", "up", 1, 0.01)))


def test_the_docs_have_the_table_the_chart_and_the_numbers(tmp_path: Path) -> None:
    page = tmp_path / "operations.md"
    page.write_text(PAGE, encoding="utf-8")
    measured = results(series("floor", "up", 1, 0.01), series("ours", "up", 1, 0.01))
    write_docs(tmp_path, measured)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!--")
    assert text.endswith("-->\nafter\n")
    assert "old results" not in text
    assert write_text(measured) in text
    assert "(images/bench.svg)" in text
    assert "<svg" in (tmp_path / "images" / "bench.svg").read_text(encoding="utf-8")
    assert (tmp_path / "images" / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert Results.model_validate_json((tmp_path / "bench.json").read_text()) == measured


def test_a_part_that_was_not_measured_stays_in_the_docs(tmp_path: Path) -> None:
    page = tmp_path / "operations.md"
    page.write_text(PAGE, encoding="utf-8")
    write_docs(tmp_path, results(series("ours", "up", 1, 0.01)))
    write_docs(tmp_path, Results(imports=dict(zip(IMPORTS, (200.0, 230.0), strict=True))))
    text = page.read_text(encoding="utf-8")
    assert "takes 30 ms more than `import pulumi`" in text
    assert "| up | ours |" in text


def test_the_page_of_operations_has_a_place_for_the_results(root: Path, tmp_path: Path) -> None:
    page = tmp_path / "operations.md"
    page.write_text((root / "docs" / "operations.md").read_text(encoding="utf-8"), encoding="utf-8")
    write_docs(tmp_path, results(series("ours", "destroy", 1.25, 0.5)))
    assert "| destroy | ours |" in page.read_text(encoding="utf-8")


@pytest.mark.full("it runs the engine forty times")
def test_it_measures_every_step_of_every_way(root: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "operations.md").write_text(PAGE, encoding="utf-8")
    ways = ["floor", "bare", "ours", "event", "raw"]
    options = ["--parts", "rooms", "--rooms", "2", "4", "--rounds", "1", "--write", str(tmp_path), "--ways", *ways]
    done = subprocess.run(
        [sys.executable, "-m", "tools.bench", *options],
        cwd=root,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    stored = Results.model_validate_json((tmp_path / "bench.json").read_text()).rooms
    assert stored is not None
    found = {(each.way, each.checkpoints, each.command): set(each.seconds) for each in stored.series}
    wanted = [
        (way, checkpoints) for way in ways for checkpoints in (False, True) if way in CHECKPOINTED or not checkpoints
    ]
    assert found == {(*way, command): {2, 4} for way in wanted for command in COMMANDS if command in WAYS[way[0]]}
    assert (tmp_path / "images" / "bench.svg").exists()


@pytest.mark.full("it runs the engine")
def test_the_floor_has_the_properties_of_a_conversation(tmp_path: Path, environ: dict[str, str]) -> None:
    conversation = tmp_path / "conversation.json"
    with serve(0) as endpoint:
        more = {"RTCAI_ENDPOINT": endpoint, "BENCH_ROOMS": "1", "BENCH_CONVERSATION": str(conversation)}
        conversation.write_text(json.dumps(describe_conversation(tmp_path, more)))
        floor = create_stack(tmp_path, "floor", checkpoints=False, more=more)
        floor.run(WAYS["floor"]["up"])
        *_, room = json.loads(floor.run("pulumi stack export")[1])["deployment"]["resources"]
    ours = json.loads(conversation.read_text())
    assert {"cname", "owner", "llm"} < set(ours["inputs"]) < set(ours["names"])
    for part in ("inputs", "outputs"):
        assert room[part].pop("__provider")
        assert set(room[part]) == set(ours[part])
        assert len(json.dumps(room[part])) == pytest.approx(len(json.dumps(ours[part])), rel=0.2)

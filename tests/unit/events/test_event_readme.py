"""The stack's README."""

from rtcai_pulumi.events.readme import ReadmeRow, render_readme


def test_a_table_of_rooms_tasks_and_links_in_the_order_of_the_keys() -> None:
    rows = [
        ReadmeRow("b", "rooms/b", "2/y", None),
        ReadmeRow("a", "主会场", "1/x", "https://meet.example.com/{cname}?lang=zh"),
    ]
    assert render_readme("staging", rows) == (
        "# staging\n\n2 rooms with an AI agent each.\n\n"
        "| Room | Name in the service | Task | Join |\n| --- | --- | --- | --- |\n"
        "| a | 主会场 | 1/x | [open](<https://meet.example.com/%E4%B8%BB%E4%BC%9A%E5%9C%BA?lang=zh>) |\n"
        "| b | rooms/b | 2/y |  |\n"
    )


def test_without_links_there_is_no_column_for_them() -> None:
    assert "Join" not in render_readme("event", [ReadmeRow("a", "a", "1/x", None)])
    assert render_readme("event", []) == "# event\n\nNo rooms.\n"


def test_the_end_of_each_room_is_a_time_in_utc_to_the_minute() -> None:
    rows = [ReadmeRow("a", "a", "1/x", None, "2026-10-13T10:00:00Z"), ReadmeRow("b", "b", "2/y", None)]
    assert render_readme("event", rows).splitlines()[4:] == [
        "| Room | Name in the service | Task | Ends |",
        "| --- | --- | --- | --- |",
        "| a | a | 1/x | 2026-10-13 10:00 UTC |",
        "| b | b | 2/y |  |",
    ]


def test_a_name_means_nothing_in_markdown_and_nothing_to_pulumi_cloud() -> None:
    row = ReadmeRow("a", "${outputs.x}|[y](z)<b>`", "1/x", None)
    assert "| &#36;{outputs.x}\\|\\[y\\](z)\\<b\\>\\` |" in render_readme("event", [row])
    linked = ReadmeRow("a", "a", "1/x", "https://meet.example.com/>|${x}")
    assert "[open](<https://meet.example.com/%3E%7C%24{x}>)" in render_readme("event", [linked])

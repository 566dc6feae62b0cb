import pytest

from rtcai_pulumi.config.task import TaskReference


@pytest.mark.parametrize(
    ("text", "task"), [("7/2a78", (7, "2a78")), ("1144707127429101/a b/c", (1144707127429101, "a b/c"))]
)
def test_a_task_is_its_text_again(text: str, task: tuple[int, str]) -> None:
    assert TaskReference.parse(text) == TaskReference(*task)
    assert str(TaskReference.parse(text)) == text


@pytest.mark.parametrize("text", ["", "7", "7/", "/2a78", "-7/2a78", "٣/2a78", "7.0/2a78", f"{'9' * 5000}/2a78"])
def test_another_text_is_not_a_task(text: str) -> None:
    assert TaskReference.parse_if_valid(text) is None
    with pytest.raises(ValueError, match="expected cid/taskId"):
        TaskReference.parse(text)

"""Property paths in Pulumi's options, with the names of the program and the names of the API page."""

import pytest

from rtcai_pulumi.config.conversation import Conversation
from rtcai_pulumi.config.paths import find_values, split_path, to_wire_path

OUTPUTS = {"taskId": "task_id"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("llm", "llm"),
        ("llm.custom_prompt", "llm.customPrompt"),
        ("llm.customPrompt", "llm.customPrompt"),
        ("llm.custom_prompt_key_word.my_key", "llm.customPromptKeyWord.my_key"),
        ('llm.customPromptKeyWord["a.b"]', 'llm.customPromptKeyWord["a.b"]'),
        ("pipeline.interrupt_words[0]", "pipeline.interruptWords[0]"),
        ("pipeline.interrupt_words[*]", "pipeline.interruptWords[*]"),
        ("extra.own_name", "extra.own_name"),
        ("task_id", "taskId"),
        ("*", "*"),
    ],
)
def test_a_path_has_the_names_of_the_request_body(path: str, expected: str) -> None:
    assert to_wire_path(path, Conversation, OUTPUTS) == expected


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("llm.temprature", "did you mean 'temperature'"),
        ("tsk_id", "did you mean 'task_id'"),
        ("owner", "unknown property 'owner'"),
        ("options.retainOnDelete", "unknown property 'options'"),
        (".llm", "is not a valid property path"),
        ("", "is not a valid property path"),
    ],
)
def test_what_is_no_path_is_refused_with_the_nearest(path: str, said: str) -> None:
    with pytest.raises(ValueError, match="property") as caught:
        to_wire_path(path, Conversation, OUTPUTS)
    assert said in str(caught.value)


def test_the_values_at_a_path_are_found_by_their_property() -> None:
    inputs = {"llm": {"a": 1}, "pipeline": {"words": ["x", "y"]}, "owner": "o"}
    assert split_path("a[0].b") == ["a", 0, "b"]
    assert find_values(inputs, "llm.a") == {"llm": [1]}
    assert find_values(inputs, "pipeline.words[*]") == {"pipeline": ["x", "y"]}
    assert set(find_values(inputs, "*")) == {"llm", "pipeline"}
    assert find_values(inputs, "owner") == find_values(inputs, "none.at.all") == {}

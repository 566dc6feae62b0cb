"""What the resource class promises without an engine."""

import inspect
import subprocess
import sys
from typing import Any

import pytest

from rtcai_pulumi import Agent, Asr, Llm, RealtimeConversation
from rtcai_pulumi.config.conversation import Conversation


def test_the_class_takes_exactly_the_fields_of_the_model() -> None:
    keywords = {
        name
        for name, parameter in inspect.signature(RealtimeConversation.__init__).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert keywords == {*Conversation.model_fields, "opts"} - {"owner"}


def test_every_input_is_an_output_under_its_own_name() -> None:
    for name in Conversation.model_fields.keys() - {"owner"}:
        assert isinstance(getattr(RealtimeConversation, name), property)


def test_a_program_that_only_declares_loads_no_http_library() -> None:
    program = "import sys, rtcai_pulumi; print({'httpx', 'starlette', 'typer', 'sqlite3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_block_is_stated_without_being_validated() -> None:
    asr = Asr(asr_vendor="six")  # type: ignore[arg-type]  # a wrong value is reported by check, at preview
    assert asr.model_dump(warnings=False)["asr_vendor"] == "six"


def test_a_misspelt_keyword_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="did you mean 'real_time_param'"):
        Llm(realtime_param={})  # type: ignore[call-arg]  # the mistake is the test


def test_a_keyword_like_no_other_lists_them_all() -> None:
    with pytest.raises(TypeError, match="it takes extra, agent_id, user_id"):
        Agent(qqqq=1)  # type: ignore[call-arg]  # the mistake is the test


def test_a_block_takes_no_positional_value() -> None:
    block: Any = Asr
    with pytest.raises(TypeError, match="keywords only"):
        block(6)


@pytest.mark.parametrize("keyword", ["cnme", "task_typ"])
def test_the_resource_refuses_a_keyword_that_it_does_not_know(keyword: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{keyword}'"):
        RealtimeConversation("host", cname="r", **{keyword: "r"})  # type: ignore[arg-type]  # the mistake is the test

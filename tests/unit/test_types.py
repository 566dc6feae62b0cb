"""The types that a program sees: the messages of mypy in strict mode."""

import re
from pathlib import Path

import mypy.api

PROGRAM = """
import pulumi
from rtcai_pulumi import Agent, Asr, Llm, Pipeline, RealTimeParam, RealtimeConversation, Role, Tts
from rtcai_pulumi.events import AgentSettings, Event, EventRoom

config = pulumi.Config()
words: list[str] = ["stop"]
output = pulumi.Output.from_input

Asr(asr_vendor=output(6), src_lan=config.get("language"), vocabulary_id=config.require_secret("words"))
Llm(role=Role.DOCTOR, real_time_param=RealTimeParam(vad_threshold=0.3), custom_prompt_key_word={"a": output("b")})
Llm(real_time_param={"vadThreshold": 0.3}, extra={"new": 1}, temperature=1)
Pipeline(interrupt_words=words)
Pipeline(interrupt_words=output(words))
Tts(ignore_bracket_text_set=(1, 2), language="Chinese", speed=None)
host = RealtimeConversation("a", cname=output("r"), asr={"asrVendor": 6}, llm=output(Llm()), tts=output({"x": 1}))
pulumi.export("task", host.task_id.apply(str.upper))
Event(agent=AgentSettings(llm=output(Llm())), rooms={"a": EventRoom(agent={"pipeline": None}), "b": {}})
Event(agent={}, rooms={"a": EventRoom(cname=output("a"), agent=AgentSettings(llm=output({"role": 1})))})

Asr(asr_vendor="six")  # wrong: arg-type
Asr(asr_vender=6)  # wrong: call-arg
Asr(src_lan=output(6))  # wrong: arg-type
Agent(agent_id="a")  # wrong: call-arg
Tts(language="German")  # wrong: arg-type
RealtimeConversation("b", cname="r", asr=3)  # wrong: arg-type
RealtimeConversation("c", cname="r", replace_strategy="never")  # wrong: arg-type
RealtimeConversation("d", cname="r", asrr={})  # wrong: arg-type
RealtimeConversation("e")  # wrong: call-arg
host.taskid  # wrong: attr-defined
Event(agent=output(AgentSettings()), rooms={})  # wrong: arg-type
EventRoom(agent=output({"pipeline": None}))  # wrong: arg-type
Event(rooms=output({"a": {}}))  # wrong: arg-type
Event(rooms={"a": output(EventRoom())})  # wrong: dict-item
Event(rooms={}, name=output("a"))  # wrong: arg-type
Event(rooms={}, create_rooms=output(True))  # wrong: arg-type
"""


def test_type_errors_are_reported_where_they_are(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    expected = [
        (number, kind[1])
        for number, line in enumerate(PROGRAM.splitlines(), start=1)
        if (kind := re.search(r"# wrong: ([\w-]+)", line))
    ]
    output, errors, _ = mypy.api.run(["--strict", "--cache-dir", str(tmp_path / "cache"), str(program)])
    assert errors == ""
    found = re.findall(r"program\.py:(\d+): error: .*\[([\w-]+)\]", output)
    assert [(int(line), kind) for line, kind in found] == expected, output

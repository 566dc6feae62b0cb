"""Agents on demand: a Python service starts an agent for a meeting and stops it afterwards. No project folder is
needed.

usage: service.py start ROOM | stop ROOM
"""

import os
import sys
from pathlib import Path

from pulumi import automation

from rtcai_pulumi import Asr, Llm, RealtimeConversation, Tts


def program(room: str) -> automation.PulumiFn:
    """Declare the agent of a room."""

    def declare() -> None:
        RealtimeConversation("host", cname=room, asr=Asr(asr_vendor=6), llm=Llm(llm_vendor=1), tts=Tts(tts_vendor=6))

    return declare


def stack_of(room: str) -> automation.Stack:
    """Return a stack for one room, so meetings do not wait for each other and do not share a state."""
    # The engine starts the plugin with the first Python on PATH.
    environment = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    options = automation.LocalWorkspaceOptions(env_vars=environment)
    return automation.create_or_select_stack(room, "meetings", program(room), opts=options)


def main(command: str, room: str) -> None:
    stack = stack_of(room)
    run = stack.up if command == "start" else stack.destroy
    summary = run(on_output=print).summary
    print(f"{room}: {command}: {summary.result}")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in {"start", "stop"}:
        sys.exit(__doc__)
    main(*sys.argv[1:])

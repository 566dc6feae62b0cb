"""`python -m tools.dev up|preview|down|status`."""

import argparse
import fcntl
import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal
from urllib.parse import urlsplit

from tools.dev import target
from tools.dev.agents import (
    NOT_IN_STACK,
    Agent,
    agents_in_state,
    agents_only_in_journal,
    compare_with_emulator,
    count,
    show_agents,
)
from tools.dev.emulator import Emulator
from tools.dev.stack import Stack
from tools.dev.target import RefusalError, Target


def up(environ: Mapping[str, str]) -> int:
    """Start the agents that `__main__.py` declares and list them."""
    chosen = target.choose(environ)
    if chosen.is_live:
        _require_terminal("up")
    with _open_stack(chosen) as (stack, before):
        if chosen.is_live:
            _prepare_live(stack, before, environ)
            succeeded = stack.run("up", refresh=True)
            after = agents_in_state(stack.resources())
            after += agents_only_in_journal(chosen, after)
        else:
            emulator, port = _emulator_of(chosen), _choose_port(before, environ)
            emulator.start(port)
            url = target.endpoint(port)
            print(f"No RTC AI credentials are set: the agents run on the local emulator, {url}", flush=True)
            succeeded = stack.run("up", url, refresh=True)
            after = compare_with_emulator(agents_in_state(stack.resources()), emulator.tasks(port))
        show_agents(after)
        if not succeeded:
            return _report_failure("up", "" if chosen.is_live else f" The emulator's log: {emulator.log}")
        print(_summarize(before, after))
    return 0


def preview(environ: Mapping[str, str]) -> int:
    """Show what `up` would change, based on the state; no request is sent to the service or the emulator."""
    chosen = target.choose(environ)
    with _open_stack(chosen) as (stack, agents):
        if chosen.is_live:
            stack.set_config("room", _choose_room(environ, agents))
        endpoint = None if chosen.is_live else target.endpoint(_choose_port(agents, environ))
        return 0 if stack.run("preview", endpoint) else 1


def down(environ: Mapping[str, str]) -> int:
    """Stop the agents and, for the stack on the emulator, the emulator."""
    chosen = target.choose(environ)
    with _open_stack(chosen) as (stack, agents):
        emulator = _emulator_of(chosen)
        stopped, endpoint = [], None
        if stack.resources():
            if chosen.is_live:
                _require_terminal("down")
                print("RTC AI credentials are set: this is the real service.")
                _print_running(agents)
                _require_yes(f"Stop {count(len(agents))} on the real service?")
            else:
                port = _choose_port(agents, environ)
                endpoint = target.endpoint(port)
                if agents:
                    emulator.start(port)  # its state file restores the tasks that it had when it ended
            if not stack.run("destroy", endpoint):
                return _report_failure("destroy", "" if chosen.is_live else " The emulator is left running.")
            stopped.append(count(len(agents)))
        if not chosen.is_live and emulator.stop():
            stopped.append("the emulator")
        left = agents_only_in_journal(chosen, []) if chosen.is_live else []
    if stopped:
        print(f"Stopped: {', '.join(stopped)}.")
    elif not left:
        more = "" if chosen.is_live else " and the emulator is not running"
        print(f"Nothing to stop: stack {chosen.name} is empty{more}.")
    if left:
        return _report_left(left)
    _report_other_stack(chosen, environ)
    return 0


def status(environ: Mapping[str, str]) -> int:
    """List the agents of both stacks; no request is sent to the service."""
    code = 0
    for each in (target.dev(environ), target.live(environ)):
        try:
            _show_stack(Stack(each))
        except RefusalError as refusal:  # the other stack is listed all the same
            print(f"{each.name}: {refusal}\n", flush=True)
            code = 1
    return code


def _show_stack(stack: Stack) -> None:
    name, agents = stack.target.name, agents_in_state(stack.resources())
    if stack.is_half_written():
        print(
            f"{name}: the state file is incomplete; using the last complete copy. `make up` and `make down` restore "
            "this copy."
        )
    if stack.target.is_live:
        print("live: the real service")
        show_agents(agents + agents_only_in_journal(stack.target, agents))
        return
    emulator = _emulator_of(stack.target)
    if (running := emulator.running()) is None:
        print("dev: the emulator is not running")
        show_agents([replace(agent, state="the emulator is not running") for agent in agents])
        return
    pid, port = running
    print(f"dev: the emulator runs on {target.endpoint(port)} (process {pid}), log {emulator.log}")
    show_agents(compare_with_emulator(agents, emulator.tasks(port)))


@contextmanager
def _open_stack(chosen: Target) -> Iterator[tuple[Stack, list[Agent]]]:
    """Lock a stack of this checkout, repair what an interrupted run left, and yield it with the agents in its state.

    Raises:
        RefusalError: another target holds the lock, or the state cannot be read.
    """
    chosen.folder.mkdir(parents=True, exist_ok=True)
    # The system releases the lock when the process ends, however that happens, so the lock is never stale.
    with (chosen.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusalError(
                f"Another `make` target is at work on stack {chosen.name} of this checkout.\n"
                "  Wait until it has ended and run this again."
            ) from None
        stack = Stack(chosen)
        stack.recover()
        yield stack, agents_in_state(stack.resources())


def _prepare_live(stack: Stack, before: Sequence[Agent], environ: Mapping[str, str]) -> None:
    """Show what `up` would change on the real service, and ask.

    Raises:
        RefusalError: the preview failed, or the answer was not yes.
    """
    room = _choose_room(environ, before)
    service = urlsplit(environ.get("RTCAI_ENDPOINT", "")).hostname or "its public endpoint"
    print(f"RTC AI credentials are set: this is the real service, at {service}.")
    print(f"  room {room!r}, stack live, state and journal in {stack.target.folder}")
    _print_running(before)
    stack.set_config("room", room)
    # The user confirms a preview with the same options as the `up` that follows it.
    if not stack.run("preview", refresh=True):
        raise RefusalError("pulumi preview failed: see the output above. Nothing was done.")
    _require_yes(f"Apply these changes to the real service (one agent in room {room!r})?")


def _require_terminal(verb: Literal["up", "down"]) -> None:
    """Refuse to change anything on the real service if no question can be asked."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        return
    raise RefusalError(
        f"RTC AI credentials are set, so `make {verb}` would act on the real service, and there is no terminal to ask"
        " on.\n"
        "  Nothing was done.\n"
        f"  In a terminal:    RTCAI_ROOM=<room> make {verb}\n"
        "  On the emulator:  unset RTCAI_APP_KEY, RTCAI_APP_SECRET, RTCAI_TOKEN and RTCAI_UID\n"
        "  By hand, with a stack and a backend of your own and .venv/bin and .tools/bin first on PATH:\n"
        "    pulumi stack select --create <stack> && pulumi config set room <room>\n"
        f"    pulumi {verb}" + (" --refresh" if verb == "up" else ""),
        code=2,
    )


def _choose_room(environ: Mapping[str, str], agents: Sequence[Agent]) -> str:
    """Return the room's name: RTCAI_ROOM, else the user's answer; the default is the room of the running agent."""
    current = agents[0].room if len(agents) == 1 else ""
    room = environ.get("RTCAI_ROOM", "").strip()
    if not room and sys.stdin.isatty() and sys.stdout.isatty():
        room = _ask(f"Name of the room for the agent{f' [{current}]' if current else ''}: ")
    if not (room or current):
        raise RefusalError(
            "No room was given; nothing was done. Set RTCAI_ROOM=<room>, or run this on a terminal.", code=2
        )
    return room or current


def _require_yes(question: str) -> None:
    if _ask(f"{question} [y/N] ").lower() not in ("y", "yes"):
        raise RefusalError("Nothing was done.")


def _ask(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        return ""


def _emulator_of(dev: Target) -> Emulator:
    return Emulator(dev.folder, dev.environment)


def _choose_port(agents: Sequence[Agent], environ: Mapping[str, str]) -> int:
    """Return the emulator's port: agents stay on the port where they were started, regardless of RTCAI_DEV_PORT."""
    requested = target.read_port(environ)
    port = next((port for agent in agents if (port := urlsplit(agent.endpoint).port)), requested)
    if port != requested:
        print(
            f"Using port {port} instead of {requested}, because the agents of this checkout were started there.",
            flush=True,
        )
    return port


def _print_running(agents: Sequence[Agent]) -> None:
    for agent in agents:
        print(f"  now: task {agent.task_id} in room {agent.room!r}", flush=True)


def _summarize(before: Sequence[Agent], after: Sequence[Agent]) -> str:
    ours = [agent for agent in after if not agent.state.endswith(NOT_IN_STACK)]
    others = len(after) - len(ours)
    idle = sum(agent.state not in ("running", "started") for agent in ours)
    new = len({agent.key for agent in ours} - {agent.key for agent in before})
    if idle:
        line = f"{count(len(ours))} in the stack, {idle} of them not running."
    elif ours and not new and len(ours) == len(before):
        line = f"Nothing to change: {count(len(ours))} already running."
    else:
        line = f"{count(len(ours))} running, {'all' if new == len(ours) else new} started now."
    return line + (f" {count(others)} more: {NOT_IN_STACK}." if others else "")


def _report_failure(verb: Literal["up", "destroy"], more: str = "") -> int:
    name = "up" if verb == "up" else "down"
    print(f"pulumi {verb} failed: see the output above. Fix the cause, then run `make {name}` again.{more}")
    return 1


def _report_left(left: Sequence[Agent]) -> int:
    """Report agents that `destroy` ignores because they are not in the state; return the exit code."""
    print(f"The journal lists {count(len(left))} that {'is' if len(left) == 1 else 'are'} not in the state:")
    for agent in left:
        state = agent.state.removesuffix(f", {NOT_IN_STACK}")
        print(f"  task {agent.task_id or '(no id)'} in room {agent.room!r}: {state}")
    them = "it" if len(left) == 1 else "them"
    print(f"Run `make up`, which stops {them} before it starts a new agent, then `make down`.")
    print(f"If the program no longer declares {them}, run `rtcai sweep`; see docs/operations.md.")
    return 1


def _report_other_stack(chosen: Target, environ: Mapping[str, str]) -> None:
    """Report what of the other stack keeps running: the credentials, set or not, select only one stack."""
    other = target.dev(environ) if chosen.is_live else target.live(environ)
    try:
        agents = agents_in_state(Stack(other).resources())
    except RefusalError as refusal:
        print(refusal)
        return
    running = [count(len(agents))] if agents else []
    if other.is_live:
        step = "set the RTCAI_ credentials of their account"
    else:
        step = f"unset {' and '.join(target.find_credentials(environ))}"
        running += ["its emulator"] if _emulator_of(other).running() else []
    if running:
        print(f"Stack {other.name} still has {' and '.join(running)}: {step} and run `make down`.")


COMMANDS = {"up": up, "preview": preview, "down": down, "status": status}


def main() -> int:
    """Run one target and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.dev")
    parser.add_argument("command", choices=COMMANDS)
    name: str = parser.parse_args().command
    # A background job of a shell inherits an ignored SIGINT, and so do the engine's plugins, which then shut down
    # slowly.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A line of the engine that the terminal's encoding lacks must not end the thread that reads the engine's lines.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return COMMANDS[name](dict(os.environ))
    except RefusalError as refusal:
        print(refusal, file=sys.stderr)
        return refusal.code
    except KeyboardInterrupt:
        print(f"\nInterrupted. Run `make {name}` again.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

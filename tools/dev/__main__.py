"""`python -m tools.dev up|preview|down|status`."""

import fcntl
import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from pulumi import automation

from rtcai_pulumi.cli.output import confirm
from rtcai_pulumi.service.errors import JournalError
from tools.dev import target
from tools.dev.agents import Agent, agents_in_state, agents_only_in_journal, compare_with_emulator, count, show_agents
from tools.dev.emulator import Emulator
from tools.dev.stack import Stack
from tools.dev.target import RefusalError, Target


def up(environ: Mapping[str, str]) -> int:
    """Start the agents that `__main__.py` declares and list them."""
    chosen = target.choose(environ)
    if chosen.is_live:
        _require_terminal("up")
    with _open_stack(chosen) as (stack, before):
        url = None
        if chosen.is_live:
            if not _confirm_preview(stack, before, environ):
                return 1
        else:
            port = _choose_port(before, environ)
            _emulator_of(chosen).start(port)
            url = target.endpoint(port)
            print(f"No RTC AI credentials are set: the agents run on the local emulator, {url}", flush=True)
        succeeded = stack.run("up", url, refresh=True)
        show_agents(_list_agents(stack))
        after = agents_in_state(stack.resources())
    if not succeeded:
        more = "" if chosen.is_live else f" The emulator's log: {_emulator_of(chosen).log}"
        print(f"pulumi up failed: see the output above. Fix the cause, then run `make up` again.{more}")
        return 1
    new = {agent.task for agent in after} - {agent.task for agent in before}
    if new or len(after) != len(before):
        started = "all" if len(new) == len(after) else len(new)
        print(f"{count(len(after))} running, {started} started now.")
    else:
        print(f"Nothing to change: {count(len(after))} already running.")
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
        stopped, endpoint = [], None
        if stack.resources():
            if chosen.is_live:
                _require_terminal("down")
                print("RTC AI credentials are set: this is the real service.")
                show_agents(agents)
                if not confirm(f"Stop {count(len(agents))} on the real service?", yes=False):
                    return 1
            else:
                port = _choose_port(agents, environ)
                endpoint = target.endpoint(port)
                if agents:
                    _emulator_of(chosen).start(port)  # its state file restores the tasks that it had when it ended
            if not stack.run("destroy", endpoint):
                print("pulumi destroy failed: see the output above. Fix the cause, then run `make down` again.")
                return 1
            stopped.append(count(len(agents)))
        if not chosen.is_live and _emulator_of(chosen).stop():
            stopped.append("the emulator")
    print(f"Stopped: {', '.join(stopped)}." if stopped else f"Nothing to stop: stack {chosen.name} is empty.")
    if chosen.is_live and (left := agents_only_in_journal(chosen.environment, [])):
        print(f"The journal lists {count(len(left))} that `pulumi destroy` cannot stop, because the state lacks them:")
        show_agents(left)
        print("Run `make up`, which stops them before it starts a new agent, then `make down`.")
        print("If the program no longer declares them, run `rtcai sweep`; see docs/operations.md.")
        return 1
    _report_other_stack(chosen, environ)
    return 0


def status(environ: Mapping[str, str]) -> int:
    """List the agents of both stacks; no request is sent to the service."""
    code = 0
    for each in (target.dev(environ), target.live(environ)):
        service = "the real service"
        if not each.is_live:
            running = _emulator_of(each).running()
            service = "the emulator is not running"
            if running:
                service = f"the emulator runs on {target.endpoint(running[1])} (process {running[0]})"
        print(f"{each.name}: {service}", flush=True)
        try:
            stack = Stack(each)
            if stack.is_half_written():
                print("The state file is incomplete. This is its last complete copy, which `make up` restores.")
            show_agents(_list_agents(stack))
        except (RefusalError, JournalError) as error:  # the other stack is listed all the same
            print(f"{error}\n", flush=True)
            code = 1
    return code


def _list_agents(stack: Stack) -> list[Agent]:
    """Return the agents of the state and of the emulator or, on the service, of the journal."""
    agents = agents_in_state(stack.resources())
    if stack.target.is_live:
        return agents + agents_only_in_journal(stack.target.environment, agents)
    emulator = _emulator_of(stack.target)
    if running := emulator.running():
        return compare_with_emulator(agents, emulator.tasks(running[1]))
    return [agent._replace(state="the emulator is not running") for agent in agents]


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


def _confirm_preview(stack: Stack, before: Sequence[Agent], environ: Mapping[str, str]) -> bool:
    """Show what `up` would change on the real service, and ask; return whether the answer was yes."""
    room = _choose_room(environ, before)
    service = urlsplit(environ.get("RTCAI_ENDPOINT", "")).hostname or "its public endpoint"
    print(f"RTC AI credentials are set: this is the real service, at {service}.")
    print(f"  room {room!r}, stack live, state and journal in {stack.target.folder}")
    show_agents(before)
    stack.set_config("room", room)
    # The user confirms a preview with the same options as the `up` that follows it.
    if not stack.run("preview", refresh=True):
        print("pulumi preview failed: see the output above. Nothing was done.")
        return False
    return confirm(f"Apply these changes to the real service (one agent in room {room!r})?", yes=False)


def _require_terminal(name: str) -> None:
    """Refuse to change anything on the real service if no question can be asked."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        return
    raise RefusalError(
        "RTC AI credentials are set: this is the real service, and there is no terminal to ask on. Nothing was done.\n"
        f"  In a terminal:      RTCAI_ROOM=<room> make {name}\n"
        "  On the emulator:    unset RTCAI_APP_KEY, RTCAI_APP_SECRET, RTCAI_TOKEN and RTCAI_UID\n"
        "  Without a question: `pulumi up --refresh` or `pulumi destroy`, with a stack and a backend of your own"
    )


def _choose_room(environ: Mapping[str, str], agents: Sequence[Agent]) -> str:
    """Return the room's name: RTCAI_ROOM, else the room of the running agent.

    Raises:
        RefusalError: there is neither.
    """
    current = agents[0].room if len(agents) == 1 else ""
    if room := environ.get("RTCAI_ROOM", "").strip() or current:
        return room
    raise RefusalError("No room was given; nothing was done. Set RTCAI_ROOM=<room>.")


def _emulator_of(dev: Target) -> Emulator:
    return Emulator(dev.folder, dev.environment)


def _choose_port(agents: Sequence[Agent], environ: Mapping[str, str]) -> int:
    """Return the emulator's port: agents stay on the port where they were started, regardless of RTCAI_DEV_PORT."""
    requested = target.read_port(environ)
    port = next((port for agent in agents if (port := urlsplit(agent.endpoint).port)), requested)
    if port != requested:
        print(f"Using port {port} instead of {requested}, because the agents of this checkout were started there.")
    return port


def _report_other_stack(chosen: Target, environ: Mapping[str, str]) -> None:
    """Report which agents of the other stack keep running: the credentials, set or not, select only one stack."""
    other = target.dev(environ) if chosen.is_live else target.live(environ)
    step = "set the" if other.is_live else "unset all"
    try:
        if agents := agents_in_state(Stack(other).resources()):
            print(f"Stack {other.name} still has {count(len(agents))}: {step} RTCAI_ credentials and run `make down`.")
    except RefusalError as refusal:
        print(refusal)


COMMANDS = {"up": up, "preview": preview, "down": down, "status": status}


def main() -> int:
    """Run the target that the Makefile names, and return its exit code."""
    name = sys.argv[1]
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
    except (RefusalError, JournalError, automation.CommandError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. Run `make {name}` again.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

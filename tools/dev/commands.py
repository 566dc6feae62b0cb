"""What each target does, in order."""

import fcntl
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from tools.dev import agents, journal, live, target
from tools.dev.agents import Agent, count
from tools.dev.emulator import Emulator
from tools.dev.engine import Engine
from tools.dev.refusal import RefusalError
from tools.dev.target import Target

# The user confirms a preview with the same options as the `up` that follows it.
_UP_OPTIONS = ("--refresh",)


def up(environ: Mapping[str, str]) -> int:
    """Start the agents that `__main__.py` declares and list them."""
    chosen = target.chosen(environ)
    if chosen.name == "live":
        live.require_terminal("up")
    with _alone(chosen):
        return _up_live(chosen, environ) if chosen.name == "live" else _up_dev(chosen, environ)


def preview(environ: Mapping[str, str]) -> int:
    """Show what `up` would change, based on the state; no request is sent to the service or the emulator."""
    chosen = target.chosen(environ)
    with _alone(chosen):
        engine, known = _taken_over(chosen)
        if chosen.name == "live":
            room = live.room(environ, known)
            engine.make_stack()
            engine.set_config("room", room)
            return engine.run("preview")
        engine.make_stack()
        return engine.run("preview", environment=_endpoint(_port(known, environ)))


def down(environ: Mapping[str, str]) -> int:
    """Stop the agents and, for the stack on the emulator, the emulator."""
    chosen = target.chosen(environ)
    with _alone(chosen):
        code = _down_live(chosen) if chosen.name == "live" else _down_dev(chosen, environ)
    if code == 0:
        _tell_of_the_other(chosen, environ)
    return code


def status(environ: Mapping[str, str]) -> int:
    """List the agents of both stacks; no request is sent to the service."""
    shown = [_shown(_show_dev, target.dev(environ)), _shown(_show_live, target.live(environ))]
    return 0 if all(shown) else 1


def _shown(show: Callable[[Target, list[Agent]], None], stack: Target) -> bool:
    """List the agents of one stack. If it cannot be read, print the reason, so the other stack is still listed."""
    engine = Engine(stack)
    try:
        if engine.is_half_written():
            print(f"{stack.name}: the state is half written, this is its last good copy; up and down mend it")
        show(stack, agents.in_state(engine.resources()))
    except RefusalError as refusal:
        print(f"{stack.name}: {refusal}\n", flush=True)
        return False
    return True


def _show_dev(dev: Target, known: list[Agent]) -> None:
    emulator = Emulator(dev.folder, dev.environment)
    running = emulator.running()
    if running is None:
        print("dev: the emulator is not running")
        _show([(agent, "the emulator is not running") for agent in known])
        return
    print(f"dev: the emulator runs on {target.endpoint(running[1])} (process {running[0]}), log {emulator.log}")
    _show(agents.with_states(known, agents.of_emulator(emulator.tasks(running[1]))))


def _show_live(stack: Target, known: list[Agent]) -> None:
    print("live: the real service")
    _show(_live_rows(stack, known))


def _live_rows(stack: Target, known: list[Agent]) -> list[tuple[Agent, str]]:
    # Only "started" is known: the service has no query for a task.
    return [(agent, "started") for agent in known] + journal.beside(stack, known)


def _up_dev(chosen: Target, environ: Mapping[str, str]) -> int:
    engine, before = _taken_over(chosen)
    port = _port(before, environ)
    emulator = Emulator(chosen.folder, chosen.environment)
    emulator.start(port)
    print(f"No RTC-AI credentials are set: the agents run on the local emulator, {target.endpoint(port)}", flush=True)
    engine.make_stack()
    code = engine.run("up", *_UP_OPTIONS, "--yes", environment=_endpoint(port))
    after = agents.in_state(engine.resources())
    rows = agents.with_states(after, agents.of_emulator(emulator.tasks(port)))
    _show(rows)
    if code == 0:
        print(_outcome(before, after, rows))
    else:
        print(f"{_failed('up', code)} The emulator's log: {emulator.log}")
    return code


def _up_live(chosen: Target, environ: Mapping[str, str]) -> int:
    engine, before = _taken_over(chosen)
    room = live.room(environ, before)
    print(f"RTC-AI credentials are set: this is the real service, at {_service(environ)}.")
    print(f"  room {room!r}, stack live, state and journal in {chosen.folder}")
    for agent in before:
        print(f"  now: task {agent.task_id} in room {agent.room!r}")
    sys.stdout.flush()
    engine.make_stack()
    engine.set_config("room", room)
    code = engine.run("preview", *_UP_OPTIONS)
    if code != 0:
        print(f"{_failed('preview', code)} Nothing was done.")
        return code
    live.agree(f"Have this one agent in room {room!r} on the real service?")
    code = engine.run("up", *_UP_OPTIONS, "--yes")
    after = agents.in_state(engine.resources())
    rows = _live_rows(chosen, after)
    _show(rows)
    if code == 0:
        print(_outcome(before, after, rows))
    else:
        print(_failed("up", code))
    return code


def _down_dev(chosen: Target, environ: Mapping[str, str]) -> int:
    engine, known = _taken_over(chosen)
    emulator = Emulator(chosen.folder, chosen.environment)
    destroyed = bool(engine.resources())
    if destroyed:
        port = _port(known, environ)
        if known:
            # Its state file restores the tasks that it had when it ended.
            emulator.start(port)
        code = engine.run("destroy", "--yes", environment=_endpoint(port))
        if code != 0:
            print(f"{_failed('destroy', code)} The emulator is left running.")
            return code
    stopped = emulator.stop()
    if destroyed or stopped:
        print(f"Stopped: {count(len(known))}{', the emulator' if stopped else ''}.")
    else:
        print("Nothing to stop: stack dev is empty and the emulator is not running.")
    return 0


def _down_live(chosen: Target) -> int:
    engine, known = _taken_over(chosen)
    if not engine.resources():
        if not journal.beside(chosen, []):
            print("Nothing to stop: stack live is empty.")
            return 0
        return _left_beside(chosen)
    live.require_terminal("down")
    print("RTC-AI credentials are set: this is the real service.")
    for agent in known:
        print(f"  now: task {agent.task_id} in room {agent.room!r}")
    live.agree(f"Stop {count(len(known))} on the real service?")
    code = engine.run("destroy", "--yes")
    if code != 0:
        print(_failed("destroy", code))
        return code
    print(f"Stopped: {count(len(known))}.")
    return _left_beside(chosen)


def _left_beside(chosen: Target) -> int:
    """Report agents that `destroy` ignores because they are not in the state; return the exit code."""
    left = journal.beside(chosen, [])
    if not left:
        return 0
    print(f"The journal knows {count(len(left))} that no state knows:")
    for agent, state in left:
        print(f"  task {agent.task_id or '(no id)'} in room {agent.room!r}: {state}")
    print("Run `make up`, which stops what was left before it starts another, and then `make down`.")
    print("If the program no longer declares it: `rtcai sweep`, see docs/operations.md.")
    return 1


def _tell_of_the_other(chosen: Target, environ: Mapping[str, str]) -> None:
    """Report where agents of the other stack keep running: the credentials, set or not, select only one stack."""
    other = target.dev(environ) if chosen.name == "live" else target.live(environ)
    try:
        known = agents.in_state(Engine(other).resources())
    except RefusalError as refusal:
        print(refusal)
        return
    still = [count(len(known))] if known else []
    if other.name == "dev":
        step = f"unset {' and '.join(target.credentials(environ))}"
        still += ["its emulator"] if Emulator(other.folder, other.environment).running() else []
    else:
        step = "set the RTCAI_ credentials of their account"
    if still:
        print(f"Stack {other.name} still has {' and '.join(still)}: {step} and run `make down`.")


def _taken_over(chosen: Target) -> tuple[Engine, list[Agent]]:
    engine = Engine(chosen)
    engine.take_over()
    return engine, agents.in_state(engine.resources())


def _endpoint(port: int) -> dict[str, str]:
    return {"RTCAI_ENDPOINT": target.endpoint(port)}


def _port(known: list[Agent], environ: Mapping[str, str]) -> int:
    """Return the emulator's port: agents stay on the port where they were started, regardless of RTCAI_DEV_PORT."""
    wanted = target.wanted_port(environ)
    port = next((port for agent in known if (port := urlsplit(agent.endpoint).port)), wanted)
    if port != wanted:
        print(f"Port {port} instead of {wanted}: the agents of this checkout were started there.", flush=True)
    return port


def _service(environ: Mapping[str, str]) -> str:
    return urlsplit(environ.get("RTCAI_ENDPOINT", "")).hostname or "its public endpoint"


def _show(rows: list[tuple[Agent, str]]) -> None:
    print()
    if rows:
        agents.show(rows)
    else:
        print("  no agents")
    print(flush=True)


def _outcome(before: list[Agent], after: list[Agent], rows: list[tuple[Agent, str]]) -> str:
    known, kept = {agent.key for agent in after}, {agent.key for agent in before}
    strangers = sum(agent.key not in known for agent, _ in rows)
    idle = sum(agent.key in known and state not in ("running", "started") for agent, state in rows)
    if idle:
        line = f"{count(len(after))} in the stack, {idle} of them not running."
    elif after and known == kept:
        line = f"Nothing to change: {count(len(after))} already running."
    else:
        new = len(known - kept)
        line = f"{count(len(after))} running, {'all' if new == len(after) else new} started now."
    return line + (f" {count(strangers)} more: {agents.NOT_IN_STACK}." if strangers else "")


def _failed(verb: str, code: int) -> str:
    return f"pulumi {verb} failed (exit code {code}): its lines above say why. The target can be run again."


@contextmanager
def _alone(chosen: Target) -> Iterator[None]:
    """Lock this checkout's stack, so only one target runs at a time.

    Raises:
        RefusalError: another target holds the lock.
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
        yield

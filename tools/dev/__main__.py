"""`python -m tools.dev up|preview|down|status`: the program of this checkout, on the emulator or the real service.

On the service, Pulumi shows a preview and asks before it changes anything.
"""

import os
import sys

from rtcai_pulumi.cli.output import print_table
from rtcai_pulumi.maintenance import CommandError
from rtcai_pulumi.service.errors import RtcAiError
from tools.dev.emulator import Emulator
from tools.dev.stack import Stack, choose, dev, live


def up(stack: Stack) -> None:
    """Start the agents that `__main__.py` declares, and list them."""
    _require_terminal(stack, "up")
    with stack.open():
        if stack.is_live:
            _set_room(stack)
        else:
            emulator = Emulator(stack.folder, stack.environment)
            emulator.start()
            print("No RTC AI credentials are set: the agents run on the local emulator,", emulator.endpoint, flush=True)
        try:
            stack.run("pulumi", "up", "--refresh", *_confirmations(stack))
        finally:
            _print_agents(stack)


def preview(stack: Stack) -> None:
    """Show what `up` would change, based on the state; no request is sent to the service or the emulator."""
    with stack.open():
        if stack.is_live:
            _set_room(stack)
        stack.run("pulumi", "preview")


def down(stack: Stack) -> None:
    """Stop the agents and, for the stack on the emulator, the emulator."""
    emulator = None if stack.is_live else Emulator(stack.folder, stack.environment)
    if stack.checkpoint.exists() or stack.agents():
        _require_terminal(stack, "down")
        with stack.open():
            if emulator:
                emulator.start()
            stack.run("pulumi", "destroy", *_confirmations(stack))
            # The engine stops only the agents in the state. A crash may have kept others out of it.
            if stack.agents():
                print("The journal has more agents. If some remain, run `make up`, then `make down`.", flush=True)
                stack.run("rtcai", "sweep", "--stack", stack.name, *([] if stack.is_live else ["--yes"]))
            stack.run("pulumi", "stack", "rm", "--yes")
    else:
        print(f"Nothing to stop: stack {stack.name} is empty.")
    if emulator and emulator.stop():
        print("The emulator is stopped.")
    # The credentials, set or not, select only one stack.
    other = dev(os.environ) if stack.is_live else live(os.environ)
    if other.agents():
        print(f"Stack {other.name} still has agents: `make status` lists them.")


def status() -> None:
    """List the agents of both stacks; no request is sent to the service."""
    print("Stack live, on the real service; the targets work on it if the RTCAI_ credentials are set:")
    stack = live(os.environ)
    _print_agents(stack)
    stack = dev(os.environ)
    running = Emulator(stack.folder, stack.environment).running()
    where = f"on the emulator, {running[1]}, process {running[0]}" if running else "the emulator is not running"
    print(f"Stack dev, {where}:")
    _print_agents(stack)


def _print_agents(stack: Stack) -> None:
    agents = [(line.cname or "", line.task or "", line.state or "") for line in stack.agents()]
    print()
    if agents:
        print_table(("Room", "Task", "State"), agents)
    else:
        print("No agents.")
    print(flush=True)


def _confirmations(stack: Stack) -> list[str]:
    """Return Pulumi's options for a run without a question; none on the service, where it asks."""
    return [] if stack.is_live else ["--yes", "--skip-preview"]


def _require_terminal(stack: Stack, name: str) -> None:
    """Refuse to change anything on the real service if no question can be asked."""
    if stack.is_live and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError(
            "RTC AI credentials are set: this is the real service, and there is no terminal to ask on. "
            "Nothing was done.",
            advice=f"run `RTCAI_ROOM=<room> make {name}` in a terminal. For the emulator, unset RTCAI_APP_KEY, "
            "RTCAI_APP_SECRET, RTCAI_TOKEN and RTCAI_UID. Without a question, run `pulumi up --refresh` or `pulumi "
            "destroy` with a stack and a backend of your own",
        )


def _set_room(stack: Stack) -> None:
    """Tell the program the room on the real service: without one it starts its three demo rooms."""
    room = stack.environment.get("RTCAI_ROOM", "").strip()
    if not room:
        raise CommandError("No room was given; nothing was started.", advice="set RTCAI_ROOM=<room>")
    print("RTC AI credentials are set: this is the real service.")
    print(f"  room {room!r}, stack {stack.name}, state and journal in {stack.folder}", flush=True)
    stack.run("pulumi", "config", "set", "room", room)


def main() -> int:
    """Run the target that the Makefile names, and return its exit code."""
    name = sys.argv[1]
    try:
        if name == "status":
            status()
        else:
            {"up": up, "preview": preview, "down": down}[name](choose(os.environ))
    except (CommandError, RtcAiError) as error:
        print(error.describe(names_config=False) if isinstance(error, RtcAiError) else error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. Run `make {name}` again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tools.dev up|preview|down|status`: the program of this checkout, on the emulator or the real service.

On the service, it shows Pulumi's preview and asks before it changes anything.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial

from pulumi import automation

from rtcai_pulumi.cli.output import print_table
from rtcai_pulumi.maintenance import CommandError
from rtcai_pulumi.service.errors import RtcAiError
from tools.dev.emulator import Emulator
from tools.dev.stack import Stack, choose, dev, live, run

_show = partial(print, flush=True)


def up(stack: Stack) -> None:
    """Start the agents that `__main__.py` declares, and list them."""
    _require_terminal(stack, "up")
    with stack.open() as pulumi:
        if stack.is_live:
            _set_room(stack, pulumi)
        else:
            emulator = Emulator(stack.folder, stack.environment)
            emulator.start()
            print("No RTC AI credentials are set: the agents run on the local emulator,", emulator.endpoint, flush=True)
        try:
            _change(stack, pulumi.preview, pulumi.up, refresh=True)
        finally:
            _print_agents(stack)


def preview(stack: Stack) -> None:
    """Show what `up` would change, based on the state; no request is sent to the service or the emulator."""
    with stack.open() as pulumi:
        if stack.is_live:
            _set_room(stack, pulumi)
        run(pulumi.preview, on_output=_show)


def down(stack: Stack) -> None:
    """Stop the agents and, for the stack on the emulator, the emulator."""
    emulator = None if stack.is_live else Emulator(stack.folder, stack.environment)
    # The credentials, set or not, select only one stack.
    other = dev(os.environ) if stack.is_live else live(os.environ)
    if stack.checkpoint.exists() or stack.agents():
        _require_terminal(stack, "down")
        with stack.open() as pulumi:
            if emulator:
                emulator.start()
            _change(stack, pulumi.preview_destroy, pulumi.destroy)
            # The engine stops only the agents in the state. A crash may have kept others out of it.
            if stack.agents():
                print("The journal has more agents. If some remain, run `make up`, then `make down`.", flush=True)
                sweep = ["rtcai", "sweep", "--stack", stack.name, *([] if stack.is_live else ["--yes"])]
                if code := run(subprocess.call, sweep, cwd=stack.folder):
                    raise CommandError(f"`{' '.join(sweep)}` ended with exit code {code}: see its output above.")
            run(pulumi.workspace.remove_stack, stack.name)
            print(f"Stack {stack.name} is removed.")
    else:
        print(f"Nothing to stop: stack {stack.name} is empty.")
    if emulator and emulator.stop():
        print("The emulator is stopped.")
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


def _change(stack: Stack, preview: Callable[..., object], change: Callable[..., object], **options: bool) -> None:
    """Change the stack; on the real service, only if the user agrees to the preview."""
    if stack.is_live:
        run(preview, on_output=_show, **options)
        print('Perform this change? Enter "yes" to continue: ', end="", flush=True)
        if sys.stdin.readline() != "yes\n":
            raise CommandError("Not confirmed. Nothing was changed.")
    run(change, on_output=_show, **options)


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


def _set_room(stack: Stack, pulumi: automation.Stack) -> None:
    """Tell the program the room on the real service: without one it starts its three demo rooms."""
    room = stack.environment.get("RTCAI_ROOM", "").strip()
    if not room:
        raise CommandError("No room was given; nothing was started.", advice="set RTCAI_ROOM=<room>")
    print("RTC AI credentials are set: this is the real service.")
    print(f"  room {room!r}, stack {stack.name}, state and journal in {stack.folder}", flush=True)
    run(pulumi.set_config, "room", automation.ConfigValue(room))


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

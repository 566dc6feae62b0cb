"""`python -m tools.dev up|preview|down|status`."""

import argparse
import os
import signal
import sys

from tools.dev import commands
from tools.dev.refusal import RefusalError

COMMANDS = {
    "up": commands.up,
    "preview": commands.preview,
    "down": commands.down,
    "status": commands.status,
}


def main() -> int:
    """Run one target and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.dev", description=commands.__doc__)
    parser.add_argument("command", choices=COMMANDS)
    name: str = parser.parse_args().command
    # A background job of a shell inherits an ignored SIGINT, and so do the engine's plugins, which then shut down
    # slowly.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return COMMANDS[name](os.environ)
    except RefusalError as refusal:
        print(refusal, file=sys.stderr)
        return refusal.code
    except KeyboardInterrupt:
        print(f"\nInterrupted. Run `make {name}` again to go on.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""The command ``rtcai``."""

import sys
from importlib import import_module


def main() -> None:
    """Run the command line; the entry point of ``rtcai``."""
    try:
        for needed in ("typer", "rich"):
            import_module(needed)
    except ModuleNotFoundError as missing:
        if missing.name not in {"typer", "rich"}:
            raise
        sys.exit('rtcai needs the extra "cli": pip install "rtcai-pulumi[cli]"')
    import_module("rtcai_pulumi.cli.app").app()

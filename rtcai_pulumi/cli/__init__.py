"""The command ``rtcai``."""

import io
import os
import sys
from importlib import import_module


def main() -> None:
    """Run the command line; the entry point of ``rtcai``."""
    try:
        for name in ("typer", "rich"):
            import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name not in {"typer", "rich"}:
            raise
        sys.exit('rtcai needs the extra "cli": pip install "rtcai-pulumi[cli]"')
    _tolerate_any_text()
    sys.argv[1:] = map(_decode, sys.argv[1:])
    try:
        try:
            import_module("rtcai_pulumi.cli.app").app()
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:  # about a file of the user, not about the output stream
            raise
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  what is left cannot be written
        sys.exit(f"rtcai: the output cannot be written: {error.strerror or error}")


def _tolerate_any_text() -> None:
    """Print characters that the locale cannot encode as escapes, and discard output to a stream that was closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _decode(argument: str) -> str:
    """Return an argument as it was typed, also in a locale that supports ASCII only."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeDecodeError:
        sys.exit(f"rtcai: an argument is not valid UTF-8: {argument!a}; write it in UTF-8")

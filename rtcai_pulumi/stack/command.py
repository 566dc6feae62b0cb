"""The CLI command that started this plugin process: its arguments, its folder and its process; and its stack's state.

The engine passes only single resources to a provider. But it is a part of the CLI's process, and that process is found
above the shell which starts the plugin.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rtcai_pulumi.journal.owner import stack_part_of

_EXPORT_SECONDS: Final = 60.0
_LONGEST_STAT: Final = 4096
"""Bytes that are read of ``/proc/{id}/stat``, which has less than half of that."""


@dataclass(frozen=True, slots=True)
class Cli:
    """The CLI command that started this plugin process."""

    folder: Path
    """Its working folder; for an inline program of the Automation API this is not the folder of this process."""
    executable: str | None = None
    """The path of the CLI."""
    arguments: tuple[str, ...] = ()
    """The command-line arguments; empty if the operating system does not show them."""
    process: int | None = None
    """The id of its process, which is also the engine's process."""
    began: str = ""
    """The start time of that process, in the system's units: after it ends, another process may get its id."""

    def runs(self) -> bool | None:
        """Whether it still runs; None if the operating system does not say."""
        if self.process is None:
            return None
        try:
            state, *_, began = process_state(self.process)
        except (FileNotFoundError, ProcessLookupError):
            return False
        except (OSError, ValueError):
            return None
        return state not in "ZX" and began == self.began

    @property
    def destroys_all(self) -> bool:
        """Whether every resource of the stack is deleted: it is a destroy that excludes nothing."""
        verb, flags = _read(self.arguments)
        return verb in _DESTROY and flags.keys().isdisjoint(_EXCLUDES) and not any(map(_is_set, _EXCLUDES))

    @property
    def ends_at_error(self) -> bool | None:
        """Whether an error of a resource ends the run; None if this is not known."""
        if not self.arguments:
            return None
        _, flags = _read(self.arguments)
        if _CONTINUE in flags:
            return flags[_CONTINUE].lower() in _FALSE
        return not _is_set(_CONTINUE) and os.environ.get("PULUMI_CONTINUE_ON_ERROR", "").lower() not in _TRUE

    def select_stack(self) -> list[str]:
        """The options with which another command works on the stack that this command works on.

        Only this command knows the stack's organization. Without an option, the CLI takes the selected stack.
        """
        _, flags = _read(self.arguments)
        return ["--stack", flags["stack"]] if flags.get("stack") else []


_TRUE: Final = {"1", "t", "true"}
_FALSE: Final = {"0", "f", "false"}
_DESTROY: Final = {"destroy", "down", "dn"}
_CONTINUE: Final = "continue-on-error"
_EXCLUDES: Final = ("target", "exclude", "exclude-protected", "preview-only")
_LETTERS: Final = {"s": "stack", "t": "target", "x": "exclude"}
_WITH_VALUE: Final = frozenset(
    {*"Ccmpsvtx", "color", "config", "config-file", "cwd", "exclude", "message", "parallel", "profiling", "stack"}
    | {"target", "tracing", "verbose"}
)
"""Flags whose value may be the next argument: those that come before the verb, and those whose value is a free text."""


def _read(arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The verb of a command, and its flags with the last value of each, as the CLI reads them.

    The CLI accepts `--target=URN`, `--target URN`, `-t URN`, `-tURN`, and `-yt URN` for `-y -t URN`. Flags that matter
    have their long names here.
    """
    verb, flags = "", dict[str, str]()
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            break
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            flags[name] = value if equals or name not in _WITH_VALUE else next(rest, "")
        elif argument.startswith("-"):
            flags |= _read_letters(argument[1:], rest)
        else:
            verb = verb or argument
    return verb, flags


def _read_letters(letters: str, following: Iterator[str]) -> dict[str, str]:
    """The flags of one argument with a single hyphen; the value of the last one may be in the next argument."""
    flags = {}
    for place, letter in enumerate(letters, start=1):
        attached = letters[place:]
        if letter in _WITH_VALUE:
            flags[_LETTERS.get(letter, letter)] = attached.removeprefix("=") or next(following, "")
            break
        flags[letter] = ""
        if attached.startswith("="):
            break
    return flags


def _is_set(flag: str) -> bool:
    """Whether a flag is set by its environment variable, as each flag of the CLI can be."""
    return os.environ.get(f"PULUMI_OPTION_{flag.upper().replace('-', '_')}", "").lower() not in {"", *_FALSE}


def cli() -> Cli:
    """The command that started this process; if the operating system does not show it, as much as is known."""
    process = os.getppid()
    try:
        while Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip() != "pulumi":  # a script starts this one
            process = int(process_state(process)[1])
        arguments = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")[1:]
        of_process = Path(f"/proc/{process}")
        began = process_state(process)[2]
        folder, executable = (of_process / "cwd").readlink(), str((of_process / "exe").readlink())
        return Cli(folder, executable, tuple(arguments), process, began)
    except (OSError, ValueError):
        return Cli(Path.cwd(), shutil.which("pulumi"))


def process_state(process: int) -> tuple[str, str, str]:
    """A process's state, parent id and start time; raises OSError or ValueError without ``/proc``."""
    # This is asked before each request, and `Path.read_text` takes four times as long.
    file = os.open(f"/proc/{process}/stat", os.O_RDONLY)
    try:
        fields = os.read(file, _LONGEST_STAT).decode(errors="replace").rpartition(")")[2].split()
    finally:
        os.close(file)
    return fields[0], fields[1], fields[19]


def exported_state(command: Cli, urn: str) -> Any:
    """The state of a stack as of its last checkpoint, read with the CLI; None if it cannot be read.

    The engine passes single resources to a provider, and some resources not at all. Reading the state takes no lock.

    Args:
        command: the command that works on the stack.
        urn: the URN of a resource of the stack.
    """
    prefix = f"{stack_part_of(urn)}::"
    stack = urn.partition("::")[0].rpartition(":")[2]
    # A user may have chosen the stack at a prompt, or another terminal may have selected another one since.
    export, urns = None, []
    for options in dict.fromkeys([tuple(command.select_stack()), ("--stack", stack)]):
        export = _export(command, options)
        urns = _urns_in(export)
        if urns and all(urn.startswith(prefix) for urn in urns):
            return export
    return None if urns else export


def _urns_in(export: Any) -> list[str]:
    """The URNs of all resources of an export; none if it is not an export."""
    try:
        return [str(each["urn"]) for each in export["deployment"].get("resources") or []]
    except (AttributeError, KeyError, TypeError):
        return []


def _export(command: Cli, options: Sequence[str]) -> Any:
    """The output of `pulumi stack export`, parsed; None if it failed."""
    if command.executable is None:
        return None
    try:
        result = subprocess.run(  # noqa: S603  the CLI that runs this very command
            [command.executable, "stack", "export", *options, "--non-interactive"],
            cwd=command.folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_EXPORT_SECONDS,
            check=False,
        )
        return json.loads(result.stdout) if result.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None

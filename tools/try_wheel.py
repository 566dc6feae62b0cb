"""Build the wheel, install it in a new project, and run README's program there on the emulator.

Usage: `PYTHON tools/try_wheel.py [--toolchain pip|uv|poetry]`, with the Python to install it for. It shows that the
wheel is complete: nothing is imported from the checkout. The project is one of pip, uv or Poetry, as a user would write
it. It needs a Pulumi CLI on PATH or in .tools/bin, a package registry, and no account. Standard library only.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
OPTIONS: Final = {"pip": "toolchain: pip, virtualenv: venv", "uv": "toolchain: uv", "poetry": "toolchain: poetry"}
"""The options of the runtime in Pulumi.yaml."""
INSTALL: Final = {
    "pip": ["{python} -m venv venv", "venv/bin/pip install --quiet {wheel}[cli,emulator]"],
    "uv": [
        "uv init --quiet --bare --python {python}",
        "uv add --quiet --default-index {index} {wheel}[cli,emulator]",
        "uv add --quiet --default-index {index} --dev pip",
    ],
    "poetry": [
        "poetry init --quiet --no-interaction --python >=3.11,<4",
        "poetry source add --quiet index {index}",
        "poetry add --quiet {wheel}[cli,emulator]",
        "poetry add --quiet --group dev pip",
    ],
}
"""What makes the project's environment, from its folder."""
RUN: Final = {"pip": [], "uv": ["uv", "run", "--no-sync"], "poetry": ["poetry", "run"]}
"""What comes before a command, so that it runs in the project's environment."""


def main() -> None:
    """Try the wheel; exit with a message if something did not work."""
    parser = argparse.ArgumentParser(prog="tools/try_wheel.py")
    parser.add_argument("--toolchain", default="pip", choices=OPTIONS, help="what installs it (default: pip)")
    toolchain: str = parser.parse_args().toolchain
    with tempfile.TemporaryDirectory(prefix="rtcai-wheel-") as name:
        scratch = Path(name).resolve()
        python("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(scratch), str(ROOT))
        (wheel,) = scratch.glob("*.whl")
        (scratch / "program").mkdir()
        install(toolchain, wheel, scratch)
        run_program(RUN[toolchain], scratch)
        print(f"{wheel.name}: one agent was started and stopped with {toolchain} and {sys.executable}")


def install(toolchain: str, wheel: Path, scratch: Path) -> None:
    """Write the project and install the wheel in its environment."""
    folder = scratch / "program"
    program = re.search(r"## A program\n+```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    (folder / "__main__.py").write_text(program[1] if program else "", encoding="utf-8")
    runtime = f"{{name: python, options: {{{OPTIONS[toolchain]}}}}}"
    (folder / "Pulumi.yaml").write_text(f"name: wheel\nruntime: {runtime}\n")
    if toolchain != "pip":
        python("-m", "venv", str(scratch / "tools"))
        run([str(scratch / "tools" / "bin" / "pip"), "install", "--quiet", toolchain])
    # uv and Poetry do not use pip's index: a machine with a mirror has to name it. pip's help has it as the default.
    index = re.search(r"--index-url <url>.*?\(default (\S+?)\)", python("-m", "pip", "install", "--help"), re.DOTALL)
    # The user's own environment has what the tools need to reach the registry, such as certificates. But they would
    # use the activated Python.
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | environment(scratch)
    values = {"python": sys.executable, "wheel": wheel, "index": index[1] if index else ""}
    for command in INSTALL[toolchain]:
        run([part.format(**values) for part in command.split()], folder, env)


def environment(scratch: Path) -> dict[str, str]:
    """Return an environment without the user's stacks and credentials, and without the checkout on Python's path."""
    return {
        "PATH": f"{scratch}/tools/bin:{scratch}/program/venv/bin:{os.environ['PATH']}:{ROOT}/.tools/bin",
        "HOME": str(scratch),
        "PULUMI_HOME": str(scratch / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{scratch}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "RTCAI_JOURNAL": str(scratch / "journal.db"),
        # Poetry's environment is in the folder, as uv's is.
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "RTCAI_APP_KEY": "emulator-app-key",
        "RTCAI_APP_SECRET": "emulator-app-secret",
    }


def run_program(before: Sequence[str], scratch: Path) -> None:
    """Start and stop the agent of the program, on the emulator of the wheel."""
    folder, env = scratch / "program", environment(scratch)

    def call(*command: str) -> str:
        return run([*before, *command], folder, env)

    command = [*before, "rtcai", "emulator", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as emulator:
        try:
            env["RTCAI_ENDPOINT"] = (emulator.stdout.readline() if emulator.stdout else "").split()[-1]
            call("pulumi", "stack", "init", "test", "--non-interactive")
            call("pulumi", "up", "--yes", "--non-interactive")
            if [agent["cname"] for agent in json.loads(call("rtcai", "ls", "--json"))] != ["keynote"]:
                sys.exit("up has not started one agent in the room keynote")
            checks = {check["check"]: check for check in json.loads(call("rtcai", "doctor", "--json"))}
            if f"({folder}/" not in checks["plugin"]["detail"]:
                sys.exit(f"the engine does not use the project's Python: {checks['plugin']['detail']}")
            call("pulumi", "destroy", "--yes", "--non-interactive")
            if json.loads(call("rtcai", "ls", "--json")):
                sys.exit("destroy has left an agent")
        finally:
            emulator.terminate()


def python(*arguments: str) -> str:
    """Run the Python to install the wheel for. A wide terminal, so that pip's help does not wrap the index."""
    return run([sys.executable, *arguments], ROOT, {**os.environ, "COLUMNS": "1000"})


def run(command: Sequence[str], folder: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return its output; if it fails, exit with it."""
    print("$", *command, flush=True)
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\nexit code {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    main()

"""Build the wheel, install it in a new environment, and run README's program from there on the emulator.

Usage: `python tools/try_wheel.py [--python PYTHON]`. It shows that the wheel is complete: nothing is imported from the
checkout. It needs a Pulumi CLI on PATH or in .tools/bin, and no account. Standard library only.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "name: wheel\nruntime: {name: python, options: {toolchain: pip, virtualenv: ENVIRONMENT}}\n"
SECONDS = 300
CHECK = """
import json, os, subprocess
from pulumi import automation
from rtcai_pulumi.emulator import Emulator

def rooms():
    lines = subprocess.run(["rtcai", "ls", "--json"], check=True, capture_output=True).stdout
    return [agent["cname"] for agent in json.loads(lines)]

with Emulator() as emulator:
    os.environ.update(emulator.environment)
    stack = automation.create_or_select_stack("test", work_dir=".")
    stack.up(on_output=print)
    if rooms() != ["keynote"] or [task["state"] for task in emulator.tasks()] != ["running"]:
        raise SystemExit(f"up has not started one agent in the room keynote: {emulator.tasks()}")
    stack.destroy(on_output=print)
    if rooms() or [task["state"] for task in emulator.tasks()] != ["ended"]:
        raise SystemExit(f"destroy has left an agent: {emulator.tasks()}")
"""


def main() -> int:
    """Try the wheel; return 0 if everything worked, else the program raises."""
    parser = argparse.ArgumentParser(prog="tools/try_wheel.py")
    parser.add_argument("--python", default=sys.executable, help="the Python to install the wheel for")
    python: str = parser.parse_args().python
    with tempfile.TemporaryDirectory(prefix="rtcai-wheel-") as scratch:
        folder = Path(scratch)
        environment, program, home = folder / "environment", folder / "program", folder / "home"
        pip_wheel = [python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
        _run(pip_wheel, ROOT)
        (wheel,) = folder.glob("*.whl")
        _run([python, "-m", "venv", str(environment)], folder)
        _run([str(environment / "bin" / "pip"), "install", "--quiet", f"{wheel}[cli,emulator]"], folder)
        for made in (program, home, folder / "backend"):
            made.mkdir()
        (program / "Pulumi.yaml").write_text(PROJECT.replace("ENVIRONMENT", str(environment)), encoding="utf-8")
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        example = re.search(r"## A program\n+```python\n(.*?)```", readme, re.DOTALL)
        if example is None:
            sys.exit("README.md has no program")
        (program / "__main__.py").write_text(example[1], encoding="utf-8")
        # Without the user's stacks and credentials, and without the checkout on Python's path.
        path = [str(environment / "bin"), os.environ.get("PATH", os.defpath), str(ROOT / ".tools" / "bin")]
        env = {
            "PATH": os.pathsep.join(path),
            "HOME": str(home),
            "PULUMI_HOME": str(home / "pulumi"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "RTCAI_JOURNAL": str(folder / "journal.db"),
        }
        _run([str(environment / "bin" / "python"), "-c", CHECK], program, env)
    print(f"{wheel.name}: one agent was started and stopped with {python}")
    return 0


def _run(command: list[str], folder: Path, env: dict[str, str] | None = None) -> None:
    print("$", *command, flush=True)
    subprocess.run(command, cwd=folder, env=env, timeout=SECONDS, check=True)


if __name__ == "__main__":
    sys.exit(main())

"""The page of the command ``rtcai``: its help texts, as the library that prints them writes them down."""

import html
import subprocess
import sys
import tempfile
from pathlib import Path


def command_page() -> str:
    """The page in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "cli.md"
        command = [sys.executable, "-m", "typer", "rtcai_pulumi.cli.app", "utils", "docs", "--name", "rtcai"]
        title = ["--title", "The command `rtcai`", "--output", str(page)]
        subprocess.run([*command, *title], check=True, stdout=subprocess.DEVNULL)
        return html.unescape(page.read_text(encoding="utf-8"))

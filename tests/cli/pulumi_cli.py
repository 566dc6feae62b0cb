"""A `pulumi` on PATH that reads states from file backends and records its arguments."""

import json
import os
from pathlib import Path
from typing import Any

from tests.cli.journals import export

_SCRIPT = """#!/bin/sh
echo "$PULUMI_BACKEND_URL $*" >> "{log}"
case "$1 $2" in
"stack export") cat "${{PULUMI_BACKEND_URL#*://}}/state.json"; {after} ;;
"org get-default") echo "{organization}" ;;
"whoami "*) echo me ;;
"stack ls") echo '[{{"name": "test", "updateInProgress": {busy}}}]' ;;
esac
"""


class PulumiCli:
    """The script, and backends for it.

    Args:
        folder: the folder for all files.
        after: shell commands that the script runs after it has read a state.
        busy: whether it reports that an update is in progress.
        organization: the default organization that it reports.
    """

    def __init__(
        self, folder: Path, *, after: str = ":", busy: bool = False, organization: str = "No Default Org Specified"
    ) -> None:
        self.folder = folder
        self._log = folder / "pulumi.log"
        script = folder / "bin" / "pulumi"
        script.parent.mkdir()
        words = {"after": after, "busy": json.dumps(busy), "organization": organization}
        script.write_text(_SCRIPT.format(log=self._log, **words), encoding="utf-8")
        script.chmod(0o755)
        self.path = os.pathsep.join([str(script.parent), os.environ["PATH"]])

    def backend(self, name: str, *resources: Any, **more: Any) -> str:
        """The URL of a backend with a stack that has these resources."""
        (self.folder / name).mkdir()
        export(self.folder / name / "state.json", resources, **more)
        return f"file://{self.folder / name}"

    @property
    def runs(self) -> list[str]:
        """The calls of the script: the backend's URL, and the arguments."""
        return self._log.read_text("utf-8").splitlines()

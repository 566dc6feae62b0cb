"""The pipeline of examples/gitops on a local bare repository. Its workflow decides which script runs and when."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import pytest
import yaml

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.stack.plugin_python import plugin_python
from tests.engine.crash import end_session, plugins_of
from tests.engine.service import calls, live, rooms
from tests.engine.stack import PROJECT, Run, Stack, search_path
from tests.postgres.server import Server

pytestmark = pytest.mark.full("a pipeline takes ten or more runs of the engine")

EXAMPLE = PROJECT / "examples" / "gitops"
WORKFLOW = EXAMPLE / ".github" / "workflows" / "agents.yml"
EVENT = (EXAMPLE / "event.yaml").read_text(encoding="utf-8")
IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"]


class Forge:
    """A bare repository, and runners that execute the workflow on its commits."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.origin, self.work, self.cache = folder / "origin.git", folder / "work", folder / "cache"
        self.workflow: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
        self.groups: dict[str, Lock] = {}
        self.runs = 0
        self.machine = folder
        """The runner that was started last."""
        self.secrets: dict[str, str] = {}
        git("init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        git("clone", "--quiet", str(self.origin), str(self.work))
        git("checkout", "--quiet", "-b", "main", cwd=self.work)
        shutil.copytree(EXAMPLE, self.work, dirs_exist_ok=True)
        self.commit("Begin")

    def commit(self, message: str, event: str | None = EVENT) -> str:
        """Commit an event file, or its removal, to main; returns the commit."""
        file = self.work / "event.yaml"
        if event is None:
            file.unlink()
        else:
            file.write_text(event, encoding="utf-8")
        git("add", "--all", cwd=self.work)
        git(*IDENTITY, "commit", "--quiet", "--allow-empty", "--message", message, cwd=self.work)
        git("push", "--quiet", "origin", "main", cwd=self.work)
        return git("rev-parse", "HEAD", cwd=self.work).strip()

    def step(self, name: str) -> dict[str, Any]:
        (found,) = [each for each in self.workflow["jobs"]["agents"]["steps"] if each.get("name") == name]
        return dict(found)

    def command(self, step: str) -> list[str]:
        """The command line with which GitHub runs a step: it sets pipefail only for a shell that the workflow names."""
        named = self.workflow.get("defaults", {}).get("run", {}).get("shell")
        assert named in {"bash", None}
        options = ["-e"] if named is None else ["--noprofile", "--norc", "-eo", "pipefail"]
        return ["bash", *options, "-c", self.step(step)["run"]]

    def runner(self, commit: str) -> tuple[Path, dict[str, str]]:
        """A fresh machine: a checkout, and the cached journal."""
        self.runs += 1
        self.machine = machine = self.origin.parent / f"runner-{self.runs}"
        git("clone", "--quiet", str(self.origin), str(machine))
        git("checkout", "--quiet", commit, cwd=machine)
        if self.cache.exists():
            shutil.copytree(self.cache, machine / ".journal")
        journal = self.secrets.get("RTCAI_JOURNAL") or str(machine / ".journal" / "journal.db")
        return machine, {**self.stack.environment, **self.secrets, "STACK": "production", "RTCAI_JOURNAL": journal}

    def keep(self, machine: Path) -> None:
        """The step that saves the journal, regardless of what happened before."""
        shutil.rmtree(self.cache, ignore_errors=True)
        if (machine / ".journal").exists():
            shutil.copytree(machine / ".journal", self.cache)

    def run(self, step: str, commit: str = "main", **environment: str) -> Run:
        """Execute one run of the workflow."""
        concurrency = self.workflow["concurrency"]
        assert concurrency["cancel-in-progress"] is False
        with self.groups.setdefault(concurrency["group"], Lock()):
            machine, env = self.runner(commit)
            done = subprocess.run(
                self.command(step),
                cwd=machine,
                env={**env, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=300,
                check=False,
                start_new_session=True,
            )
            self.keep(machine)
        return Run(done.returncode, done.stdout)

    def kill_in_the_middle(self, emulator: Emulator, commit: str, *, keep: bool, creates: int = 2) -> None:
        """A runner that is killed after the service has started an agent and before the runner got the answer."""
        machine, env = self.runner(commit)
        with emulator.hold("create", at="worked", times=None) as hold:
            process = subprocess.Popen(
                self.command("Up"),
                cwd=machine,
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            hold.wait(count=creates, timeout=90)
            assert plugins_of(process.pid)
            end_session(process.pid)
            process.wait()
        if keep:
            self.keep(machine)


def git(*arguments: str, cwd: Path | None = None) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=environment, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def forge(stack: Stack, emulator: Emulator, tmp_path: Path) -> Forge:
    emulator.change_settings(dedup="replay")
    return Forge(stack, tmp_path / "forge")


def test_the_pipeline_from_a_commit_to_its_end(forge: Forge, emulator: Emulator) -> None:
    assert "+ 4 to create" in forge.run("Preview").succeeded().output
    assert emulator.requests() == []
    forge.run("Up").succeeded()
    assert rooms(emulator) == ["expo-main-stage", "expo-workshop"]
    first = {task["cname"]: task["taskId"] for task in live(emulator)}
    changed = forge.commit("Speak faster", EVENT.replace("workshop: {}", "workshop: {agent: {tts: {speed: 1.5}}}"))
    preview = forge.run("Preview", changed).succeeded().output
    assert "+-1 to replace" in preview
    assert "speed" in preview
    forge.run("Up", changed).succeeded()
    second = {task["cname"]: task["taskId"] for task in live(emulator)}
    assert second["expo-main-stage"] == first["expo-main-stage"]
    assert second["expo-workshop"] != first["expo-workshop"]
    forge.commit("Revert")
    assert "1 replaced" in forge.run("Up").succeeded().output
    forge.run("Drift").succeeded()
    emulator.end_room("expo-workshop")
    assert "error" in forge.run("Drift").failed().output
    forge.run("Up").succeeded()
    assert rooms(emulator) == ["expo-main-stage", "expo-workshop"]
    forge.run("Drift").succeeded()
    forge.commit("The event is over", None)
    assert "event.yaml is gone" in forge.run("Preview").succeeded().output
    assert len(live(emulator)) == 2
    forge.run("Up").succeeded()
    assert live(emulator) == []
    forge.run("Destroy").succeeded()


@pytest.mark.everyday
def test_a_preview_that_fails_fails_its_step_and_is_in_the_comment(forge: Forge, emulator: Emulator) -> None:
    mistaken = forge.commit("Mistake", EVENT.replace("workshop: {}", "workshop: {agent: {tts: {speed: 9}}}"))
    forge.run("Preview", mistaken).failed()
    assert "rooms.workshop.agent.tts.speed: out of range" in (forge.machine / "preview.txt").read_text("utf-8")
    assert emulator.requests() == []
    # A step runs after a failed one only if its condition calls a function of the job's status.
    assert "!cancelled()" in forge.step("Comment")["if"]
    assert forge.step("Preview")["id"] == "preview"


@pytest.mark.everyday
@pytest.mark.shows("example gitops")
def test_two_merges_at_once_are_run_one_after_the_other(forge: Forge, emulator: Emulator) -> None:
    first = forge.commit("First", EVENT.replace("workshop: {}", "workshop: {agent: {tts: {speed: 1.5}}}"))
    second = forge.commit("Second", EVENT.replace("workshop: {}", "workshop: {agent: {tts: {speed: 2}}}"))
    with ThreadPoolExecutor() as pool:
        for run in pool.map(lambda commit: forge.run("Up", commit), [first, second]):
            run.succeeded()
    assert rooms(emulator) == ["expo-main-stage", "expo-workshop"]
    assert calls(emulator).count("create") == 3


def test_a_killed_runner_whose_journal_was_kept(forge: Forge, emulator: Emulator) -> None:
    forge.kill_in_the_middle(emulator, "main", keep=True)
    assert rooms(emulator) == ["expo-main-stage", "expo-workshop"]
    locked = forge.run("Up").failed().output
    assert "the stack is currently locked" in locked
    forge.run("Up", UNLOCK="1").succeeded()
    assert rooms(emulator) == ["expo-main-stage", "expo-workshop"]
    forge.run("Up").succeeded()
    forge.run("Destroy").succeeded()
    assert live(emulator) == []


def test_a_killed_runner_whose_journal_was_lost_stops_the_next_run(forge: Forge, emulator: Emulator) -> None:
    forge.kill_in_the_middle(emulator, "main", keep=False)
    run = forge.run("Up", UNLOCK="1").failed()
    assert "room expo-main-stage" in run.output
    assert "room expo-workshop" in run.output
    assert rooms(emulator) == ["expo-main-stage", "expo-workshop"]


@pytest.mark.shows("safety older-journal")
def test_a_killed_runner_whose_journal_is_older_than_the_state_stops_the_next_run(
    forge: Forge, emulator: Emulator
) -> None:
    forge.run("Up").succeeded()
    faster = EVENT.replace("workshop: {}", "workshop: {agent: {tts: {speed: 1.5}}}")
    forge.kill_in_the_middle(emulator, forge.commit("Faster", faster), keep=False, creates=1)
    agents = emulator.tasks()
    # The cached journal is the one of the first run: it has the workshop, but not the agent that runs there.
    run = forge.run("Up", UNLOCK="1").failed()
    assert "room expo-workshop" in run.output
    assert "room expo-main-stage" not in run.output
    assert emulator.tasks() == agents
    # `destroy` does not report success either: it cannot stop that agent.
    assert "room expo-workshop" in forge.run("Destroy").failed().output
    assert rooms(emulator) == ["expo-workshop"]


def test_a_revert_that_is_killed_is_not_taken_for_what_an_older_journal_knows(forge: Forge, emulator: Emulator) -> None:
    forge.run("Up").succeeded()
    faster = EVENT.replace("workshop: {}", "workshop: {agent: {tts: {speed: 1.5}}}")
    forge.run("Up", forge.commit("Faster", faster)).succeeded()
    forge.kill_in_the_middle(emulator, forge.commit("Revert"), keep=False, creates=1)
    agents = emulator.tasks()
    assert "room expo-workshop" in forge.run("Up", UNLOCK="1").failed().output
    assert emulator.tasks() == agents


@pytest.fixture
def team(forge: Forge, database_server: Server) -> Forge:
    """State and journal are in a database, as the secrets of the workflow say."""
    with database_server.connect() as admin:
        database = f"team_{uuid4().hex}"
        admin.execute(f"CREATE DATABASE {database}".encode())
    base = database_server.url("x").partition("?")[0].replace("/postgres", f"/{database}")
    backend = base.replace("postgresql://", "postgres://") + "?sslmode=disable"
    forge.secrets = {"RTCAI_JOURNAL": base, "PULUMI_BACKEND_URL": backend}
    return forge


@pytest.mark.shows("safety team-journal")
def test_a_killed_runner_with_a_journal_in_a_database_is_recovered_by_the_next(team: Forge, emulator: Emulator) -> None:
    team.kill_in_the_middle(emulator, "main", keep=False)
    assert rooms(emulator) == ["expo-main-stage", "expo-workshop"]
    # The options of the URL of the backend change, as its user and password may: the stack stays the same.
    team.run("Up", UNLOCK="1", PULUMI_BACKEND_URL=f"{team.secrets['PULUMI_BACKEND_URL']}&connect_timeout=9").succeeded()
    assert rooms(emulator) == ["expo-main-stage", "expo-workshop"]
    creates = calls(emulator).count("create")
    team.run("Up").succeeded()
    assert calls(emulator).count("create") == creates
    assert not team.cache.exists()
    team.run("Destroy").succeeded()
    assert live(emulator) == []


@pytest.mark.everyday
def test_the_workflow_is_valid_and_starts_only_scripts_that_are_there() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["agents"]["steps"]
    scripts = [step["run"].split()[0] for step in steps if step.get("run", "").startswith("ci/")]
    assert scripts == ["ci/preview.sh", "ci/up.sh", "ci/drift.sh", "ci/destroy.sh"]
    assert all(os.access(EXAMPLE / script, os.X_OK) for script in scripts)


@pytest.mark.everyday
def test_its_folder_is_a_repository_of_its_own(tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "agents")
    python = plugin_python({"PATH": search_path()}, folder)
    assert python.executable is not None
    assert Path(python.executable).parent == Path(sys.executable).parent


@pytest.mark.everyday
@pytest.mark.parametrize(
    ("file", "more"), [("stack.yaml", set()), ("stack-postgres.yaml", {"PULUMI_BACKEND_URL", "RTCAI_JOURNAL"})]
)
def test_the_manifests_say_what_they_are_for(file: str, more: set[str]) -> None:
    documents = list(yaml.safe_load_all((EXAMPLE / "kubernetes" / file).read_text(encoding="utf-8")))
    (stack,) = [each["spec"] for each in documents if each["kind"] == "Stack"]
    assert stack["destroyOnFinalize"] is True
    assert stack["updateTemplate"]["spec"]["runProgram"] is True
    environment = stack["workspaceTemplate"]["spec"]["env"]
    secrets = {each["name"] for each in environment if "valueFrom" in each}
    assert secrets == {"RTCAI_APP_KEY", "RTCAI_APP_SECRET", "PULUMI_CONFIG_PASSPHRASE"} | more
    assert "secret" not in json.dumps([each for each in environment if "value" in each]).lower()

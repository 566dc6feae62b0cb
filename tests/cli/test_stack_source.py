"""The places from which a stack's state is read. No decision uses the state of another backend."""

import json
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.stack import UnreadableExport
from rtcai_pulumi.stack.owner import owner_prefix
from rtcai_pulumi.stack.source import StateSource, state_of, why_locked
from tests.cli.journals import export, resource, start_agent
from tests.cli.pulumi_cli import PulumiCli
from tests.cli.service import Service


def prefix_of(backend: str) -> str:
    return owner_prefix({"PULUMI_BACKEND_URL": backend}, None)


@pytest.fixture
def pulumi(tmp_path: Path) -> PulumiCli:
    return PulumiCli(tmp_path)


def list_agents(service: Service, *arguments: str, **environment: str) -> dict[str, Any]:
    run = service.run("ls", "--json", *arguments, **environment)
    assert run.exit_code == 0, run.output
    return {agent["cname"]: agent["mark"] for agent in json.loads(run.stdout)}


def test_the_state_is_read_in_the_backend_that_is_named(service: Service, pulumi: PulumiCli) -> None:
    task = start_agent(service.emulator, "named")
    named, current = pulumi.backend("named", resource(task)), pulumi.backend("current")
    where = {"PATH": pulumi.path, "PULUMI_BACKEND_URL": current}
    stack = ["--stack", "test", "--cwd", str(pulumi.folder)]
    assert list_agents(service, *stack, "--backend", named, **where) == {"keynote": "only in state"}
    assert list_agents(service, *stack, **where) == {}
    for command in (["show", task], ["pending"]):
        run = service.run(*command, *stack, "--backend", named, **where)
        assert run.exit_code == 0, run.output
    exported = "stack export --stack test --non-interactive"
    assert pulumi.runs == [f"{url} {exported}" for url in (named, current, named, named)]


def test_what_the_named_backend_s_state_has_is_not_swept(service: Service, pulumi: PulumiCli) -> None:
    named = f"file://{pulumi.folder / 'named'}"
    on_air = service.leave_agent("on air", prefix=prefix_of(named))
    service.leave_agent("orphan", prefix=prefix_of(named))
    pulumi.backend("named", resource(on_air))
    where = {"PATH": pulumi.path, "PULUMI_BACKEND_URL": pulumi.backend("current")}
    run = service.run("sweep", "--stack", "test", "--cwd", str(pulumi.folder), "--backend", named, "--yes", **where)
    assert run.exit_code == 0, run.output
    assert service.rooms == ["on air"]


def test_the_hosted_backend_is_asked_for_the_state_and_for_the_lock_alike(tmp_path: Path) -> None:
    pulumi = PulumiCli(tmp_path, busy=True)
    pulumi.backend("backend.example")
    hosted = "https://backend.example"
    source = StateSource("test", tmp_path, None, None, "rooms", hosted)
    environment = {"PATH": pulumi.path, "PULUMI_BACKEND_URL": pulumi.backend("current")}
    assert why_locked(state_of(source, environment), source, environment) == "an update is in progress"
    commands = ("org get-default", "whoami", "stack export --stack test", "stack ls --json")
    assert pulumi.runs == [f"{hosted} {command} --non-interactive" for command in commands]


@pytest.mark.parametrize(
    ("stack", "default", "organization"),
    [
        ("acme/test", "other", "acme"),
        ("acme/rooms/test", "other", "acme"),
        ("test", "other", "other"),
        ("test", "No Default Org Specified", "me"),
    ],
)
def test_a_hosted_stack_is_an_organization_s(tmp_path: Path, stack: str, default: str, organization: str) -> None:
    pulumi = PulumiCli(tmp_path, organization=default)
    pulumi.backend("backend.example")
    hosted = "https://backend.example"
    state = state_of(StateSource(stack, tmp_path, None, None, "rooms", hosted), {"PATH": pulumi.path})
    assert state.backend.digest == owner_prefix({"PULUMI_BACKEND_URL": hosted}, None, None, organization)
    assert str(state.backend) == f"https://backend.example, organization {organization} (--backend)"
    assert str(state.export.id) == "rooms/test"


def test_an_export_of_a_hosted_stack_needs_no_pulumi_where_its_name_says_whose_it_is(tmp_path: Path) -> None:
    file = export(tmp_path / "state.json")
    hosted = "https://backend.example"
    state = state_of(StateSource(None, tmp_path, file, "acme/test", None, hosted), {"PATH": ""})
    assert state.backend.digest == owner_prefix({"PULUMI_BACKEND_URL": hosted}, None, None, "acme")
    with pytest.raises(UnreadableExport, match=r"is not known\. The Pulumi CLI is not on PATH"):
        state_of(StateSource(None, tmp_path, file, None, None, hosted), {"PATH": ""})


def test_a_relative_backend_is_that_of_the_project_s_folder_to_both(tmp_path: Path) -> None:
    pulumi = PulumiCli(tmp_path)
    pulumi.backend("states")
    source = StateSource("test", tmp_path, None, None, "rooms", "file://./states")
    state = state_of(source, {"PATH": pulumi.path})
    assert state.backend.digest == prefix_of(f"file://{tmp_path / 'states'}")
    assert pulumi.runs == [f"file://{tmp_path / 'states'} stack export --stack test --non-interactive"]


@pytest.mark.parametrize("where", ["project", "project/deeper"])
def test_the_project_file_s_backend_counts_for_an_export_and_from_a_folder_below(
    service: Service, tmp_path: Path, where: str
) -> None:
    (tmp_path / "project" / "deeper").mkdir(parents=True)
    project = "name: rooms\nruntime: python\nbackend: {url: 'file://./states'}\n"
    (tmp_path / "project" / "Pulumi.yaml").write_text(project, encoding="utf-8")
    service.leave_agent("orphan", prefix=prefix_of(f"file://{tmp_path / 'project' / 'states'}"))
    file = export(tmp_path / "state.json")
    export_of = ["sweep", "--stack-export", file, "--yes", "--cwd"]
    elsewhere = service.run(*export_of, str(tmp_path), PULUMI_BACKEND_URL="")
    assert elsewhere.exit_code == 3
    assert "1 agent belongs to a stack of the same name in another backend; it is not closed." in elsewhere.stderr
    assert service.run(*export_of, str(tmp_path / where), PULUMI_BACKEND_URL="").exit_code == 0
    assert service.rooms == []


def test_a_project_file_that_cannot_be_read_is_one_clear_error(service: Service, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: [", encoding="utf-8")
    run = service.run("ls", "--stack", "test", "--cwd", str(tmp_path))
    assert run.exit_code == 1
    assert f"The project file in {tmp_path} cannot be read" in run.stderr

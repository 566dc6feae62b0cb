"""The promises of the resource class, without an engine."""

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi import Agent, Asr, Llm, RealtimeConversation
from rtcai_pulumi.config.conversation import HIDDEN, Conversation
from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.stack.owner import owner_prefix, program_owner, resolve_owner


def test_the_class_takes_exactly_the_fields_of_the_model() -> None:
    keywords = {
        name
        for name, parameter in inspect.signature(RealtimeConversation.__init__).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert keywords == {*Conversation.model_fields, "opts"} - set(HIDDEN)


def test_every_input_is_an_output_under_its_own_name() -> None:
    for name in Conversation.model_fields.keys() - set(HIDDEN):
        assert isinstance(getattr(RealtimeConversation, name), property)


def test_a_program_that_only_declares_loads_no_http_library() -> None:
    program = "import sys, rtcai_pulumi; print({'httpx', 'starlette', 'typer', 'sqlite3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_block_is_built_without_validation() -> None:
    asr = Asr(asr_vendor="six")  # type: ignore[arg-type]  # a wrong value is reported by check, at preview
    assert asr.model_dump(warnings=False)["asr_vendor"] == "six"


def test_a_misspelt_keyword_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="did you mean 'real_time_param'"):
        Llm(realtime_param={})  # type: ignore[call-arg]  # the mistake is the test


def test_a_keyword_like_no_other_lists_them_all() -> None:
    with pytest.raises(TypeError, match="it accepts extra, agent_id, user_id"):
        Agent(qqqq=1)  # type: ignore[call-arg]  # the mistake is the test


def test_a_block_takes_no_positional_value() -> None:
    block: Any = Asr
    with pytest.raises(TypeError, match="accepts only keyword arguments"):
        block(6)


@pytest.mark.parametrize("keyword", ["cnme", "task_typ"])
def test_the_resource_refuses_a_keyword_that_it_does_not_know(keyword: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{keyword}'"):
        RealtimeConversation("host", cname="r", **{keyword: "r"})  # type: ignore[arg-type]  # the mistake is the test


OWNER = """
import sys
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        print(args.inputs["owner"])
        return "1/task", args.inputs

    def call(self, args):
        return {}

pulumi.runtime.set_mocks(Mocks(), project="live", stack="prod", organization=sys.argv[1])

@pulumi.runtime.test
def program():
    host = RealtimeConversation("host", cname="keynote", agent=Agent(agent_id="a", user_id="u"))
    return host.urn.apply(print)

program()
"""


def owner_in(organization: str) -> tuple[str, str]:
    """The owner of a resource of the stack live/prod of an organization, and the resource's URN."""
    environment = {**os.environ, "PULUMI_BACKEND_URL": "https://api.pulumi.com"}
    command = [sys.executable, "-c", OWNER, organization]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    owner, urn = done.stdout.splitlines()
    return owner, urn


@pytest.mark.shows("safety equal-stacks")
def test_equal_stacks_of_two_organizations_are_two_owners() -> None:
    """A URN does not name the organization, and both organizations use the same backend."""
    (one, urn), (other, same_urn) = owner_in("acme"), owner_in("acme-test")
    assert urn == same_urn
    assert one != other
    environment = {"PULUMI_BACKEND_URL": "https://api.pulumi.com"}
    owners = {resolve_owner(owner, environment, None, Path()) for owner in (one, other, one.partition(" ")[2])}
    assert len(owners) == 3
    assert len({urn_of(owner) for owner in owners}) == 1


def test_a_self_managed_backend_has_no_organizations() -> None:
    assert owner_in("organization")[0].startswith("urn:pulumi:prod::live::")


URN = "urn:pulumi:prod::live::a:b:C::host"


def test_the_environment_of_the_cli_names_the_backend_before_the_project_file() -> None:
    folder = Path("/project")
    owner = program_owner(URN, "organization", "file:///by-file", folder)
    by_file = resolve_owner(owner, {}, None, folder)
    by_environment = resolve_owner(owner, {"PULUMI_BACKEND_URL": "file:///by-environment"}, None, folder)
    assert by_file.startswith(f"{owner_prefix({}, 'file:///by-file')}:")
    assert by_environment.startswith(f"{owner_prefix({}, 'file:///by-environment')}:")
    assert urn_of(by_file) == urn_of(by_environment) == URN


def test_a_backend_in_a_database_is_the_same_for_every_user_and_password() -> None:
    urls = ("postgres://me:old@db/team", "postgres://you:new@db/team?sslmode=require", "postgres://db/team")
    assert len({owner_prefix({"PULUMI_BACKEND_URL": url}, None) for url in urls}) == 1
    others = ("postgres://me:old@db/other", "postgres://other/team", "postgres://db/team?table=states")
    assert len({owner_prefix({"PULUMI_BACKEND_URL": url}, None) for url in (*urls, *others)}) == 4


@pytest.mark.parametrize("organization", ["organization", "acme"])
@pytest.mark.parametrize("backend", [None, "file:///by-file"])
def test_the_owner_of_a_program_is_the_one_rtcai_looks_for(organization: str, backend: str | None) -> None:
    env, folder = {"PULUMI_HOME": "/nowhere"}, Path("/project")
    owner = program_owner(URN, organization, backend, folder)
    assert resolve_owner(owner, env, None, folder) == f"{owner_prefix(env, backend, folder, organization)}:{URN}"

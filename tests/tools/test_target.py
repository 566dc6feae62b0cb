"""The stack that a target acts on, and the environment variables that the engine receives."""

from pathlib import Path

import pytest

from tools.dev import target
from tools.dev.target import RefusalError

SERVER = {"RTCAI_APP_KEY": "k", "RTCAI_APP_SECRET": "s"}
CLIENT = {"RTCAI_APP_KEY": "k", "RTCAI_TOKEN": "t", "RTCAI_UID": "1"}


def test_without_credentials_it_is_the_emulator() -> None:
    assert target.choose({}).name == "dev"
    assert target.choose({"RTCAI_APP_KEY": "", "RTCAI_TIMEOUT": "3"}).name == "dev"


@pytest.mark.parametrize("credentials", [SERVER, CLIENT, {**SERVER, **CLIENT}])
def test_with_credentials_it_is_the_service(credentials: dict[str, str]) -> None:
    chosen = target.choose(credentials)
    assert chosen.name == "live"
    assert {name: chosen.environment[name] for name in credentials} == credentials


@pytest.mark.parametrize(
    "some",
    [{"RTCAI_APP_KEY": "k"}, {"RTCAI_APP_SECRET": "s"}, {"RTCAI_APP_KEY": "k", "RTCAI_TOKEN": "t"}],
)
def test_half_of_the_credentials_are_refused_without_showing_them(some: dict[str, str]) -> None:
    with pytest.raises(RefusalError, match="incomplete") as refused:
        target.choose(dict.fromkeys(some, "sensitive"))
    assert "sensitive" not in str(refused.value)
    assert all(name in str(refused.value) for name in some)


def test_the_emulators_stack_sees_nothing_of_the_users_own_stacks() -> None:
    environ = {
        "PULUMI_ACCESS_TOKEN": "a", "PULUMI_STACK": "b", "RTCAI_ENDPOINT": "https://x", "RTCAI_JOURNAL": "/j",
        "RTCAI_ROOM_ENDPOINT": "https://y", "RTCAI_MAX_RPS": "7", "VIRTUAL_ENV": "/v", "PATH": "/bin",
    }  # fmt: skip
    seen = target.dev(environ).environment
    assert not {"PULUMI_ACCESS_TOKEN", "PULUMI_STACK", "RTCAI_ENDPOINT", "RTCAI_ROOM_ENDPOINT", "VIRTUAL_ENV"} & set(
        seen
    )
    assert seen["RTCAI_JOURNAL"].endswith("dev/journal.db")
    assert seen["RTCAI_MAX_RPS"] == "7"
    assert seen["RTCAI_APP_KEY"] == target.APP_KEY


def test_each_stack_has_a_journal_and_a_backend_of_its_own(tmp_path: Path) -> None:
    dev, live = (make({"RTCAI_DEV_DIR": str(tmp_path)}) for make in (target.dev, target.live))
    for name in ("RTCAI_JOURNAL", "PULUMI_BACKEND_URL"):
        assert dev.environment[name] != live.environment[name]
    assert dev.backend.is_relative_to(tmp_path)


def test_the_checkouts_own_programs_come_first_on_path(root: Path) -> None:
    first, *_, last = target.dev({"PATH": "/bin"}).environment["PATH"].split(":")
    assert (first, last) == (str(root / ".venv" / "bin"), "/bin")


def test_the_emulators_stack_sees_no_proxy_and_the_services_sees_them_all() -> None:
    proxies = {"no_proxy": "example.org", "HTTPS_PROXY": "http://proxy", "all_proxy": "socks5://proxy"}
    assert not [name for name in target.dev(proxies).environment if "proxy" in name.lower()]
    assert proxies.items() <= target.live(proxies).environment.items()


@pytest.mark.parametrize("text", ["0", "65536", "-1", "80a", "８０"])
def test_a_port_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RefusalError, match="RTCAI_DEV_PORT"):
        target.read_port({"RTCAI_DEV_PORT": text})


def test_the_default_port_is_fixed() -> None:
    assert target.read_port({}) == 8907

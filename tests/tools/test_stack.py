"""A stack: which one the environment selects, the environment of its commands, and how they run and recover.

Here a program replaces Pulumi; `test_make.py` and `test_live.py` have the real one.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtcai_pulumi.maintenance import CommandError
from rtcai_pulumi.service.errors import SettingsError
from tools.dev.stack import PROJECT, Stack, choose, dev, live, run

SERVER = {"RTCAI_APP_KEY": "k", "RTCAI_APP_SECRET": "s"}
CLIENT = {"RTCAI_APP_KEY": "k", "RTCAI_TOKEN": "t", "RTCAI_UID": "1"}


def test_without_credentials_it_is_the_emulator() -> None:
    assert choose({}).name == "dev"
    assert choose({"RTCAI_APP_KEY": "", "RTCAI_TIMEOUT": "3"}).name == "dev"


@pytest.mark.parametrize("credentials", [SERVER, CLIENT, {**SERVER, **CLIENT}])
def test_with_credentials_it_is_the_service(credentials: dict[str, str]) -> None:
    chosen = choose(credentials)
    assert chosen.name == "live"
    assert {name: chosen.environment[name] for name in credentials} == credentials


@pytest.mark.parametrize(
    ("some", "missing"),
    [
        (["RTCAI_APP_KEY"], "RTCAI_APP_SECRET"),
        (["RTCAI_APP_SECRET"], "RTCAI_APP_KEY"),
        (["RTCAI_APP_KEY", "RTCAI_TOKEN"], "RTCAI_UID"),
    ],
)
def test_half_of_the_credentials_are_refused_without_showing_them(some: list[str], missing: str) -> None:
    with pytest.raises(SettingsError, match=missing) as refused:
        choose(dict.fromkeys(some, "sensitive"))
    assert "sensitive" not in str(refused.value)


def test_the_emulators_stack_sees_nothing_of_the_users_own_stacks() -> None:
    environ = {
        "PULUMI_ACCESS_TOKEN": "a", "PULUMI_STACK": "b", "RTCAI_ENDPOINT": "https://x", "RTCAI_JOURNAL": "/j",
        "RTCAI_ROOM_ENDPOINT": "https://y", "RTCAI_MAX_RPS": "7", "VIRTUAL_ENV": "/v", "PATH": "/bin",
    }  # fmt: skip
    seen = dev(environ).environment
    assert not {"PULUMI_ACCESS_TOKEN", "PULUMI_STACK", "RTCAI_ROOM_ENDPOINT", "VIRTUAL_ENV"} & set(seen)
    assert seen["RTCAI_JOURNAL"].endswith("dev/journal.db")
    assert seen["RTCAI_MAX_RPS"] == "7"
    assert seen["RTCAI_APP_KEY"] == "emulator-app-key"


def test_each_stack_has_a_journal_and_a_backend_of_its_own(tmp_path: Path) -> None:
    two = [make({"RTCAI_DEV_DIR": str(tmp_path)}) for make in (dev, live)]
    for name in ("RTCAI_JOURNAL", "PULUMI_BACKEND_URL"):
        assert two[0].environment[name] != two[1].environment[name]
    assert two[0].backend.is_relative_to(tmp_path)


def test_the_checkouts_own_programs_come_first_on_path(root: Path) -> None:
    first, *_, last = dev({"PATH": "/bin"}).environment["PATH"].split(":")
    assert (first, last) == (str(root / ".venv" / "bin"), "/bin")


def test_the_emulators_stack_sees_no_proxy_and_the_services_sees_them_all() -> None:
    proxies = {"no_proxy": "example.org", "HTTPS_PROXY": "http://proxy", "all_proxy": "socks5://proxy"}
    assert not [name for name in dev(proxies).environment if "proxy" in name.lower()]
    assert proxies.items() <= live(proxies).environment.items()


def test_the_default_port_is_fixed() -> None:
    assert dev({}).environment["RTCAI_ENDPOINT"] == "http://127.0.0.1:8907"
    assert dev({"RTCAI_DEV_PORT": "9000"}).environment["RTCAI_ENDPOINT"] == "http://127.0.0.1:9000"


FAKE_PULUMI = """
import json, os, pathlib, signal, sys
command = next(argument for argument in sys.argv[1:] if argument != "--non-interactive")
with open(os.environ["LOG"], "a") as file:
    file.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
if command == "version":
    print("v3.274.1")
if command == "up":
    # As the engine: it shuts down by itself after an interrupt.
    signal.signal(signal.SIGINT, lambda *_: (print("interrupted"), sys.exit(7)))
    pathlib.Path(os.environ["FIFO"]).write_text(str(os.getpid()))
    signal.pause()
if command == "destroy":
    print("a line of the engine")
    sys.exit("error: the reason")
"""
OF_THE_AUTOMATION_API = {"PULUMI_AUTOMATION_API", "PULUMI_DEBUG_COMMANDS", "PULUMI_SKIP_UPDATE_CHECK"}
OF_READLINE = {"LINES", "COLUMNS"}
"""Set by a library that pytest loads, without changing `os.environ`."""


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack with a CLI that only records its calls."""
    program = tmp_path / "path" / "pulumi"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{FAKE_PULUMI}")
    program.chmod(0o755)
    os.mkfifo(tmp_path / "fifo")
    environ = {"LOG": str(tmp_path / "log"), "FIFO": str(tmp_path / "fifo"), "PATH": str(program.parent)}
    return Stack("dev", tmp_path / "dev", {**environ, "LC_ALL": "C.UTF-8"})


def calls_of(stack: Stack) -> list[tuple[list[str], dict[str, str]]]:
    """Arguments and environment of each call."""
    return [json.loads(line) for line in Path(stack.environment["LOG"]).read_text().splitlines()]


def test_open_selects_the_stack_and_a_project_that_runs_this_checkout(stack: Stack, root: Path) -> None:
    with stack.open() as pulumi:
        assert calls_of(stack)[-1][0] == ["--non-interactive", "stack", "select", "--stack", "dev"]
    assert pulumi.workspace.work_dir == str(stack.folder)
    assert pulumi.workspace.program is None
    assert json.loads((stack.folder / "Pulumi.yaml").read_text())["main"] == str(root)


def test_the_commands_get_nothing_of_the_users_environment(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG", "/of/the/user")
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "of-the-user")
    with stack.open() as pulumi:
        run(pulumi.workspace.remove_stack, "dev")
        run(subprocess.call, ["pulumi", "about"])
    called = calls_of(stack)
    assert [call[-1] for call, _ in called] == ["version", "dev", "dev", "about"]
    for _, environment in called:
        seen = {name: value for name, value in environment.items() if name not in OF_THE_AUTOMATION_API | OF_READLINE}
        assert seen == stack.environment


def test_a_failure_is_named_and_its_reason_is_printed_once(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    with stack.open() as pulumi, pytest.raises(CommandError, match="Pulumi's `destroy` failed"):
        run(pulumi.destroy, on_output=lines.append)
    assert lines == ["a line of the engine"]
    assert capsys.readouterr() == ("", "error: the reason\n")


def test_an_interrupted_run_is_waited_for(stack: Stack) -> None:
    def interrupt() -> None:
        engine = int((stack.folder.parent / "fifo").read_text())
        os.kill(os.getpid(), signal.SIGINT)  # on a terminal, Ctrl-C reaches both
        os.kill(engine, signal.SIGINT)

    lines: list[str] = []
    thread = threading.Thread(target=interrupt)
    with stack.open() as pulumi:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            run(pulumi.up, on_output=lines.append)
        assert lines == ["interrupted"]
        thread.join()


def lock_of(stack: Stack, pid: int, host: str) -> Path:
    lock = stack.backend / ".pulumi" / "locks" / "organization" / PROJECT / "dev" / "1.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"pid": pid, "hostname": host}))
    return lock


def write_state(stack: Stack, text: str, copy: str | None = None) -> None:
    stack.checkpoint.parent.mkdir(parents=True)
    stack.checkpoint.write_text(text)
    if copy is not None:
        stack.checkpoint.with_suffix(".json.bak").write_text(copy)


@pytest.fixture
def other_run() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child


def test_the_lock_of_a_run_at_work_and_its_state_are_left_alone(
    stack: Stack, other_run: subprocess.Popen[bytes]
) -> None:
    write_state(stack, "half a st", "{}")
    lock = lock_of(stack, other_run.pid, socket.gethostname())
    stack.recover()
    assert lock.exists()
    assert stack.checkpoint.read_text() == "half a st"


def test_the_lock_of_another_machine_is_left_alone(stack: Stack) -> None:
    lock = lock_of(stack, 2**22 + 1, "another-machine")
    stack.recover()
    assert lock.exists()


def test_the_lock_of_a_run_that_is_gone_is_removed(stack: Stack) -> None:
    write_state(stack, "{}")
    lock = lock_of(stack, 2**22 + 1, socket.gethostname())
    stack.recover()
    assert not lock.exists()
    assert stack.checkpoint.exists()


def test_a_lock_that_was_half_written_is_removed(stack: Stack) -> None:
    lock = lock_of(stack, 1, "any")
    lock.write_text('{"pid": 1')
    stack.recover()
    assert not lock.exists()


def test_a_half_written_state_gives_way_to_the_last_good_one(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    write_state(stack, '{"version": 3, "checkpo', '{"version": 3}')
    stack.recover()
    assert stack.checkpoint.read_text() == '{"version": 3}'
    assert "The state file of stack dev is incomplete; restoring the engine's copy.\n" in capsys.readouterr().out


def test_a_good_state_is_left_alone(stack: Stack) -> None:
    write_state(stack, '{"version": 3}', '{"version": 2}')
    stack.recover()
    assert stack.checkpoint.read_text() == '{"version": 3}'


def test_an_empty_file_of_attributes_is_removed(stack: Stack) -> None:
    write_state(stack, "{}")
    empty, whole = (stack.checkpoint.with_suffix(suffix) for suffix in (".json.attrs", ".json.bak.attrs"))
    empty.touch()
    whole.write_text("{}")
    stack.recover()
    assert (empty.exists(), whole.exists()) == (False, True)


def test_the_lock_of_a_killed_process_that_is_not_collected_yet_is_removed(
    stack: Stack, other_run: subprocess.Popen[bytes]
) -> None:
    other_run.kill()
    os.waitid(os.P_PID, other_run.pid, os.WEXITED | os.WNOWAIT)
    lock = lock_of(stack, other_run.pid, socket.gethostname())
    stack.recover()
    assert not lock.exists()

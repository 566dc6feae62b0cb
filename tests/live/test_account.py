"""The user's account is used only on request. If the service was not called, the report always says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.account import account_of, why_not_run

SECRET = "a-secret-that-nobody-may-see"
ASKED_FOR = {
    "RTCAI_LIVE_TESTS": "1",
    "RTCAI_APP_KEY": "k",
    "RTCAI_APP_SECRET": SECRET,
    "RTCAI_LIVE_ROOM": "keynote",
}


def collected(**environ: str) -> str:
    """The output of pytest when it only collects, so nothing is sent anywhere."""
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "tests/live/test_service.py"]
    root = Path(__file__).parents[2]
    done = subprocess.run(argv, cwd=root, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("missing", ASKED_FOR)
def test_without_one_of_four_variables_they_do_not_run_and_it_is_named(missing: str) -> None:
    environ = {name: value for name, value in ASKED_FOR.items() if name != missing}
    assert account_of(environ) is None
    assert missing in (why_not_run(environ) or "")


def test_credentials_alone_do_not_make_them_run() -> None:
    assert account_of({**ASKED_FOR, "RTCAI_LIVE_TESTS": "0"}) is None


def test_with_all_four_they_run_in_the_named_room_and_show_no_secret() -> None:
    account = account_of(ASKED_FOR)
    assert account
    assert account.room == "keynote"
    assert SECRET not in repr(account)


def test_that_they_did_not_run_is_reported_and_is_no_skip() -> None:
    said = collected()
    assert "live tests: not run (set RTCAI_LIVE_TESTS=1, RTCAI_APP_KEY, RTCAI_APP_SECRET, RTCAI_LIVE_ROOM; " in said
    assert "[emulator]" in said
    assert "[service]" not in said
    assert "skipped" not in said


def test_with_all_four_the_service_is_one_more_target_of_the_same_test() -> None:
    said = collected(**ASKED_FOR)
    assert "[emulator]" in said
    assert "[service]" in said
    assert "not run" not in said
    assert SECRET not in said

"""The pytest plugin, in pytest runs of its own."""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

pytest_plugins = ["pytester"]

HIDE_STARLETTE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "starlette":
            raise ModuleNotFoundError("No module named 'starlette'", name=name)

sys.meta_path.insert(0, Hidden())
"""


def run(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers --strict-config -p no:cacheprovider")
    pytester.makepyfile(source)
    return pytester.runpytest_subprocess()


def test_a_test_that_names_the_fixture_has_an_emulator_and_the_environment_for_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTCAI_TOKEN", "a developer's own")
    ended = run(
        pytester,
        """
        import os
        from pathlib import Path
        from rtcai_pulumi.service.client import Client
        from rtcai_pulumi.service.settings import resolve

        def test_it(rtcai_emulator, tmp_path):
            settings = resolve(os.environ, lambda _: None)
            assert (settings.endpoint, settings.app_key) == (rtcai_emulator.url, rtcai_emulator.app_key)
            body = {"cname": "r", "requestId": "q", "taskType": 7, "data": {"agent": {"agentId": "a", "userId": "u"}}}
            with Client(settings) as client:
                client.create_task(body, trace_id="t")
            assert [task["state"] for task in rtcai_emulator.tasks()] == ["running"]
            assert Path(os.environ["RTCAI_JOURNAL"]).parent == tmp_path
            assert "RTCAI_TOKEN" not in os.environ

        def test_the_next_has_an_empty_one(rtcai_emulator):
            assert rtcai_emulator.tasks() == []

        def test_one_without_it_has_the_environment_as_it_was():
            assert os.environ["RTCAI_TOKEN"] == "a developer's own"
            assert "RTCAI_ENDPOINT" not in os.environ
        """,
    )
    ended.assert_outcomes(passed=3)


def test_the_mark_says_how_it_behaves_and_the_nearest_has_the_last_word(pytester: pytest.Pytester) -> None:
    ended = run(
        pytester,
        """
        import pytest
        pytestmark = pytest.mark.rtcai_emulator(dedup="replay", rooms="required")

        @pytest.mark.rtcai_emulator(dedup="refuse", max_rps=5)
        def test_it(rtcai_emulator):
            settings = rtcai_emulator.settings()
            assert (settings["dedup"], settings["rooms"], settings["maxRps"]) == ("refuse", "required", 5)
        """,
    )
    ended.assert_outcomes(passed=1)


def test_without_the_extra_the_fixture_names_it_and_other_tests_run(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(HIDE_STARLETTE)
    ended = run(
        pytester,
        """
        def test_with(rtcai_emulator):
            pass

        def test_without():
            pass
        """,
    )
    ended.assert_outcomes(passed=1, errors=1)
    ended.stdout.fnmatch_lines(['*rtcai_emulator*needs starlette: pip install "rtcai-pulumi[[]emulator]"*'])
    ended.stdout.no_fnmatch_line("*Traceback*")


def test_a_run_that_does_not_use_it_loads_nothing_of_the_package(pytester: pytest.Pytester) -> None:
    ended = run(
        pytester,
        """
        import sys

        def test_it():
            assert "pytest_rtcai" in sys.modules
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert not loaded & {"rtcai_pulumi", "pulumi", "pydantic", "starlette", "uvicorn", "jinja2", "httpx"}
        """,
    )
    ended.assert_outcomes(passed=1)


def test_it_is_listed_among_the_fixtures_with_its_first_sentence(pytester: pytest.Pytester) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--fixtures", "-p", "no:cacheprovider"],
        cwd=pytester.path, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    assert "rtcai_emulator -- " in listed
    assert "An empty emulator that runs for one test" in listed


def test_its_package_is_part_of_the_wheel() -> None:
    root = Path(__file__).parents[2]
    assert '"pytest_rtcai"' in (root / "pyproject.toml").read_text(encoding="utf-8")


def test_a_misspelt_setting_of_the_mark_is_one_line_with_the_near_one(pytester: pytest.Pytester) -> None:
    ended = run(
        pytester,
        """
        import pytest

        @pytest.mark.rtcai_emulator(dedpu="replay")
        def test_it(rtcai_emulator):
            pass
        """,
    )
    ended.assert_outcomes(errors=1)
    ended.stdout.fnmatch_lines(["*mark rtcai_emulator: unknown setting dedpu; did you mean dedup?"])
    ended.stdout.no_fnmatch_line("*TypeError*")


def test_one_emulator_for_a_module_or_a_session_as_the_page_shows(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text(encoding="utf-8")
    (example,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def service(" in block]
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    source = """
        def test_first(service):
            from rtcai_pulumi.service.client import Client
            from rtcai_pulumi.service.settings import resolve
            body = {"cname": "r", "requestId": "q", "taskType": 7, "data": {"agent": {"agentId": "a", "userId": "u"}}}
            with Client(resolve(os.environ, lambda _: None)) as client:
                client.create_task(body, trace_id="t")

        def test_second(service):
            assert len(service.tasks()) == 1
        """
    ended = run(pytester, example + dedent(source))
    ended.assert_outcomes(passed=2)

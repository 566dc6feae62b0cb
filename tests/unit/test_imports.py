"""What `import rtcai_pulumi` offers, and what it loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rtcai_pulumi


@pytest.mark.parametrize("name", rtcai_pulumi.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(rtcai_pulumi, name) is not None
    assert name in dir(rtcai_pulumi)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(rtcai_pulumi.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(rtcai_pulumi.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Romo'"):
        rtcai_pulumi.Romo  # noqa: B018  to look at it is the test


@pytest.mark.parametrize(
    ("statement", "left_out"),
    [
        ("import rtcai_pulumi", ("pulumi", "pydantic", "httpx", "sqlite3", "yaml")),
        (
            "from rtcai_pulumi import RealtimeConversation",
            ("httpx", "sqlite3", "rtcai_pulumi.events", "rtcai_pulumi.plugin"),
        ),
        ("import rtcai_pulumi.plugin", ("httpx", "sqlite3", "rtcai_pulumi.events", "rtcai_pulumi.conversation")),
        ("import rtcai_pulumi.service.client", ("httpx._main", "click", "pygments", "rich")),
    ],
)
def test_an_import_loads_no_more_than_it_needs(statement: str, left_out: tuple[str, ...]) -> None:
    program = f"{statement}\nimport sys\nprint([name for name in {left_out!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_program_that_has_loaded_the_http_library_itself_keeps_its_command_line() -> None:
    program = """
import sys
import httpx
main, loaded = httpx.main, "httpx._main" in sys.modules
import rtcai_pulumi.service.client
assert httpx.main is main
assert ("httpx._main" in sys.modules) == loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True)

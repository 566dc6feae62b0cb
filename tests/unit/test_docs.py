"""The statements of the docs about the tests are true."""

import hashlib
import inspect
import re
from importlib.metadata import version
from pathlib import Path

import pulumi
import pytest

ROOT = Path(__file__).parents[2]


CONTRACT = (ROOT / "docs" / "pulumi.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading of docs/pulumi.md, cell by cell."""
    lines = CONTRACT.partition(f"## {heading}\n")[2].partition("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")][1:]


def test_the_contract_has_every_option_of_pulumi() -> None:
    """All options of the newest SDK that is tested. An older SDK may not have all of them."""
    options = inspect.signature(pulumi.ResourceOptions.__init__).parameters.keys() - {"self"}
    listed = {row[0].strip("`") for row in rows("Options")}
    newest = f"pulumi=={version('pulumi')}\n" in (ROOT / "tools" / "constraints.txt").read_text(encoding="utf-8")
    assert options == listed if newest else options < listed


@pytest.mark.parametrize("row", [*rows("Options"), *rows("Commands")], ids=lambda row: str(row[0]))
def test_each_line_of_the_contract_names_a_test_that_is_there(row: list[str]) -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row[-1])
    assert named
    for file, name in named:
        assert f"def {name}(" in (ROOT / "tests" / "engine" / file).read_text(encoding="utf-8"), f"{file}::{name}"


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PLACES = ARCHITECTURE.partition("## Where a change belongs\n")[2].partition("\n## ")[0]


def test_every_place_for_a_change_exists() -> None:
    places = re.findall(r"`([\w.][\w./-]*/|[\w.][\w./-]*\.(?:py|toml|txt|md|yml))`", PLACES)
    assert len(places) > 60
    folders = (ROOT, ROOT / "rtcai_pulumi")
    assert [place for place in places if not any((folder / place).exists() for folder in folders)] == []


def test_every_module_of_the_package_is_a_place_for_a_change() -> None:
    package = ROOT / "rtcai_pulumi"
    modules = {str(path.relative_to(package)) for path in package.rglob("*.py") if not path.name.startswith("__")}
    named = set(re.findall(r"`([\w/]+\.py)`", PLACES))
    assert {module for module in modules - named if not module.startswith("cli/commands/")} == set()


PAGES = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_commands_names_the_test_that_runs_it(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith("```sh"):
            marks = re.fullmatch(r"<!-- (?:run by (\S+\.py)::(test_\w+)|not run by a test: .+) -->", lines[number - 1])
            assert marks, f"line {number}: the line above says neither which test runs these commands nor why none does"
            file, name = marks.groups()
            assert file is None or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"


def test_the_chinese_readme_is_in_step_with_the_english_one() -> None:
    english = (ROOT / "README.md").read_text(encoding="utf-8")
    chinese = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    for part in (r"```.*?```", r"<!-- (?:not )?run by .*? -->", r"\]\((?!README)[^)]+\)", r"^#+ ", r"^\|.*\|$"):
        theirs, ours = (
            re.findall(part, text, re.DOTALL | re.MULTILINE if "`" in part else re.MULTILINE)
            for text in (english, chinese)
        )
        if part.startswith("^"):
            assert len(theirs) == len(ours), part
        else:
            assert sorted(theirs) == sorted(ours), part
    marks = re.findall(r"<!-- in step with README.md, sha256 (\w+) -->", chinese)
    assert marks == [hashlib.sha256(english.encode()).hexdigest()], (
        "README.md has changed: bring README.zh-CN.md into step"
    )

"""Validates a conversation, as flat inputs (`check`) or as a whole create body."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from rtcai_pulumi.config.block import Block, find_nearest
from rtcai_pulumi.config.conversation import BLOCK_NAMES, TASK_TYPE, Data
from rtcai_pulumi.config.problems import NULL, Problem, check_fields, path_of, unlisted_field_problem
from rtcai_pulumi.config.rules import check_rules
from rtcai_pulumi.config.values import walk
from rtcai_pulumi.config.wire import nested_blocks

_BODY_NAMES: Final = ("cname", "requestId", "taskType", "data")


def check(inputs: Mapping[str, Any]) -> list[Problem]:
    """Every independent problem of flat inputs, one per location, without a value in its text; empty if there is none.

    Unknown values are left alone at any depth.
    """
    problems: dict[str, Problem] = {}
    for problem in (*check_fields(inputs), *check_rules(inputs)):
        problems.setdefault(problem.path, problem)
    return list(problems.values())


def check_body(body: Any) -> list[Problem]:
    """Every problem of a whole create body, with paths from its root (``data.asr.asrVendor``)."""
    problems = {problem.path: problem for problem in check_nesting(body)}
    if isinstance(body, dict) and isinstance(body.get("data"), dict):
        # Flat inputs other than the blocks must not be taken from inside data.
        flat = {"cname": body.get("cname"), "requestId": body.get("requestId")}
        data = {name: block for name, block in body["data"].items() if name in BLOCK_NAMES}
        inputs = {name: value for name, value in {**flat, **data}.items() if value is not None}
        for problem in (*check(inputs), *_check_extra_of_body(body["data"], Data, ())):
            top = problem.path in {"cname", "requestId"}
            path = problem.path if top else "data" if problem.path == path_of(()) else f"data.{problem.path}"
            problems.setdefault(path, replace(problem, path=path))
    return list(problems.values())


def check_nesting(body: Any) -> list[Problem]:
    """Problems that inputs cannot express: nulls, a wrong ``taskType``, blocks outside ``data`` and the like."""
    if not isinstance(body, Mapping):
        return [Problem("(root)", "must be an object with cname, taskType and data")]
    problems = [Problem(path_of(location), NULL) for location, value in walk(body) if value is None]
    problems += [Problem(name, "required") for name in ("cname", "taskType", "data") if name not in body]
    task_type = body.get("taskType", TASK_TYPE)
    if isinstance(task_type, bool) or task_type != TASK_TYPE:
        problems.append(Problem("taskType", f"must be the number {TASK_TYPE}: a real-time conversation"))
    if not isinstance(body.get("data", {}), Mapping):
        problems.append(Problem("data", "must be an object with the blocks"))
    for name in body.keys() - set(_BODY_NAMES):
        near = find_nearest(name, _BODY_NAMES)
        allowed = f"a body has only {', '.join(_BODY_NAMES[:-1])} and {_BODY_NAMES[-1]}"
        hint = "blocks belong in data" if name in BLOCK_NAMES else f"did you mean {near}?" if near else allowed
        problems.append(Problem(name, f"unknown field; {hint}", True))
    if isinstance(body.get("data"), Mapping):
        problems += [
            unlisted_field_problem(f"data.{name}", name, Data) for name in body["data"] if name not in BLOCK_NAMES
        ]
    return problems


def _check_extra_of_body(owner: Mapping[str, Any], model: type[Block], location: tuple[str, ...]) -> Iterator[Problem]:
    """`extra` exists only for the provider; in the request it would be one more unknown field."""
    for name, inner in nested_blocks(model).items():
        block = owner.get(name)
        if isinstance(block, dict):
            if "extra" in block:
                yield unlisted_field_problem(path_of((*location, name, "extra")), "extra", inner)
            yield from _check_extra_of_body(block, inner, (*location, name))

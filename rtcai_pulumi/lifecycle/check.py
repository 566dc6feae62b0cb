"""`check`: is a stated conversation one that the service would take? Pure, without a request."""

from collections.abc import Mapping
from typing import Any

from rtcai_pulumi.config.problems import Problem
from rtcai_pulumi.config.validation import input_problems


def check(inputs: Mapping[str, Any]) -> list[Problem]:
    """Every independent problem of the inputs, without a value in its text; unknowns are left alone at any depth."""
    return input_problems(inputs)

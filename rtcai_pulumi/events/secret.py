"""Reads what references stand for: the stack's config and the environment."""

import os
from collections.abc import Iterator
from typing import Any

import pulumi

from rtcai_pulumi.events.reference import Reference


def missing_secrets(values: list[Any]) -> list[str]:
    """What is wrong with each reference that nothing can be read for, a sentence each, and each place once."""
    found = {
        reference.place: problem for reference in _references(values) if (problem := _problem(reference)) is not None
    }
    return [f"{place}: {problem}" for place, problem in found.items()]


def revealed(value: Any) -> Any:
    """A value with secret outputs in the place of its references."""
    if isinstance(value, Reference):
        return pulumi.Output.secret(_read(value))
    if isinstance(value, dict):
        return {key: revealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [revealed(item) for item in value]
    return value


def _references(value: Any) -> Iterator[Reference]:
    if isinstance(value, Reference):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _references(item)


def _read(reference: Reference) -> str | pulumi.Output[str] | None:
    if reference.kind == "$env":
        return os.environ.get(reference.name) or None
    namespace, _, key = reference.name.rpartition(":")
    return pulumi.Config(namespace or None).get_secret(key)


def _problem(reference: Reference) -> str | None:
    if _read(reference) is not None:
        return None
    if reference.kind == "$env":
        return f"the environment variable {reference.name} is not set, or empty; set it where pulumi runs"
    return (
        f"the stack's config has no {reference.name}; set it with `pulumi config set --secret {reference.name}`, "
        "which asks for the value"
    )

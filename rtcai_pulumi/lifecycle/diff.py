"""`diff`: does a changed program ask for another agent? The service has no update, so that any change replaces."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtcai_pulumi.config.canonical import canonical, same


@dataclass(frozen=True, slots=True)
class Difference:
    """What an engine has to do about the difference of old outputs and new inputs."""

    replaces: tuple[str, ...] = ()
    """The properties that ask for another agent; empty where the one that runs is right."""
    stop_first: bool = True
    """Whether the old agent is stopped before the new one starts."""


def diff(olds: Mapping[str, Any], news: Mapping[str, Any]) -> Difference:
    """Compare the canonical forms.

    In one room the old agent stops first, because two would talk to each other; with ``replaceStrategy`` "start-first",
    and into another room, the new one starts first.

    Args:
        olds: the outputs that the state holds; they repeat the inputs under their names.
        news: the new inputs, perhaps with unknowns, which count as a change.
    """
    old, new = canonical(olds), canonical(news)
    replaces = tuple(name for name in dict.fromkeys((*new, *old)) if not same(old.get(name), new.get(name)))
    stop_first = "cname" not in replaces and news.get("replaceStrategy") != "start-first"
    return Difference(replaces, stop_first)

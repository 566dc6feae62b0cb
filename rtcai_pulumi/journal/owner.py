"""The owner of a task, as journal and state store it: a digest of the backend, and the resource's URN.

`rtcai_pulumi.stack.owner` explains how the digest is made, and which parts of it a program knows.
"""


def make_owner(prefix: str, urn: str) -> str:
    """Return the owner of a task.

    Args:
        prefix: a digest of the backend and the organization that keep the stack's state.
        urn: the resource's URN.
    """
    return f"{prefix}:{urn}"


def urn_of(owner: str) -> str:
    """Return the URN of an owner."""
    return owner.partition(":")[2]


def name_of(owner: str) -> str:
    """Return the name of an owner's resource, which may contain ``::`` itself; empty if the owner has no URN."""
    return "".join(owner.split("::", 3)[3:])


def stack_part_of(owner: str) -> str:
    """Return the part of an owner that is the same for all resources of one stack in one backend."""
    return "::".join(owner.split("::")[:2])


def is_same_stack(one: str, other: str) -> bool:
    """Return whether two owners are resources of the same stack in the same backend."""
    return bool(one) and stack_part_of(one) == stack_part_of(other)

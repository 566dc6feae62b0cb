"""Which resource a task was started for, as journal and state hold it: a digest of the backend, and the resource's URN.

`rtcai_pulumi.stack.owner` says how the digest is made, and what a program knows of it.
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


def stack_part_of(owner: str) -> str:
    """Return the part of an owner that all resources of one stack in one backend share."""
    return "::".join(owner.split("::")[:2])


def is_same_stack(one: str, other: str) -> bool:
    """Return whether two owners are resources of one stack in one backend."""
    return bool(one) and stack_part_of(one) == stack_part_of(other)

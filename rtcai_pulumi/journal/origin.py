"""Where a run is: the user and the host, and the CI job if the environment names one."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_JOB_URLS: Final = (
    "CI_JOB_URL",  # GitLab
    "BUILDKITE_BUILD_URL",
    "CIRCLE_BUILD_URL",
    "BITBUCKET_BUILD_URL",
    "BUILD_URL",  # Jenkins
)
"""The variables in which CI systems name the page of the current job."""
_LONGEST: Final = 200


def describe_origin(env: Mapping[str, str]) -> str:
    """Return ``user@host``, followed by the page of the CI job in parentheses."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = ""  # a container may run with a number that no user has
    host = socket.gethostname()
    place = f"{user}@{host}" if user else host
    job = _job_page(env)
    return (f"{place} ({job})" if job else place)[:_LONGEST]


def _job_page(env: Mapping[str, str]) -> str:
    server, repository, run = (env.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    if server and repository and run:
        return f"{server}/{repository}/actions/runs/{run}"
    return next((env[name] for name in _JOB_URLS if env.get(name, "").startswith(("https://", "http://"))), "")

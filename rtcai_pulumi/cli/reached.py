"""The service and the journal, for commands that act."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rtcai_pulumi.lifecycle.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtcai_pulumi.lifecycle.journal import Journal


@contextmanager
def service_and(journal: Journal) -> Iterator[Run]:
    """What the verbs of the lifecycle take; credentials come from the environment.

    Raises:
        SettingsError: credentials are missing, or a setting is wrong.
    """
    from rtcai_pulumi.service.client import Client  # noqa: PLC0415  the HTTP client is slow to import
    from rtcai_pulumi.service.settings import resolve  # noqa: PLC0415  as above

    with Client(resolve(os.environ, lambda _: None)) as client:
        yield Run(lambda: client, lambda: journal)

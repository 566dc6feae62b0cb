"""Reads the project file: the project's name and backend."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml  # a dependency of Pulumi itself


@dataclass(frozen=True, slots=True)
class Project:
    """The parts of a project file that this package uses."""

    name: str | None = None
    backend: str | None = None
    """The backend's URL; it may contain a password."""


_SUFFIXES: Final = ("yaml", "yml", "json")


def project_folder(start: Path) -> Path:
    """Return the nearest folder with a project file, from the given folder upwards; the folder itself if there is
    none.
    """
    return next((folder for folder in (start, *start.parents) if project_file_in(folder)), start)


def project_file_in(folder: Path) -> Path | None:
    """Return the project file in a folder; None if there is none."""
    files = (folder / f"Pulumi.{suffix}" for suffix in _SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def project_in(folder: Path) -> Project:
    """Return the project whose file is in a folder; an empty one if the file does not exist.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not valid YAML in UTF-8.
    """
    file = project_file_in(folder)
    if file is None:
        return Project()
    try:
        return _project(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _project(content: Any) -> Project:
    fields = content if isinstance(content, dict) else {}
    backend = fields.get("backend")
    return Project(_text(fields.get("name")), _text(backend.get("url")) if isinstance(backend, dict) else None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None

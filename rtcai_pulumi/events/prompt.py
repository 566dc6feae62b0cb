"""Long prompts in files beside the event file."""

from pathlib import Path
from typing import Any, Final

PROMPT_FILES: Final = {"customPromptFile": "customPrompt", "customPromptFormatFile": "customPromptFormat"}
"""Fields of the block ``llm`` in an event file, each with the field that the file's text is for."""


class PromptFileWrong(Exception):
    """A prompt file cannot be used; the message says why."""


def prompt_in(folder: Path, name: Any) -> str:
    """The text of a prompt file; line breaks at its end are the editor's and not part of it.

    Args:
        folder: the event file's folder; the prompt file must be inside of it.
        name: the path from there, as stated.

    Raises:
        PromptFileWrong: it is not there, not inside, no UTF-8, or empty.
    """
    if not isinstance(name, str) or not name:
        raise PromptFileWrong("must be the path of a file, from the event file's folder")
    try:
        file = (folder / name).resolve()
        if not file.is_relative_to(folder.resolve()):
            raise PromptFileWrong("must be inside of the event file's folder")
        if not file.is_file():
            raise PromptFileWrong("no such file in the event file's folder")
        text = file.read_text(encoding="utf-8-sig").rstrip("\n")
    except UnicodeDecodeError:
        raise PromptFileWrong("the file is no text in UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else None
        raise PromptFileWrong(f"the file cannot be read: {reason or 'its path is none'}") from None
    if not text.strip():
        raise PromptFileWrong("the file is empty")
    return text

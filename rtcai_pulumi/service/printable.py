"""Makes text from outside safe to print: names of rooms, responses of the service, values of variables."""


def printable(text: str) -> str:
    """Return the text without characters that control a terminal; line breaks are kept."""
    return "".join(char if char.isprintable() or char == "\n" else _make_visible(char) for char in text)


def one_line(text: str) -> str:
    """Return the text in one line: a line break is shown as an escape, so a name cannot look like a line of its own."""
    return printable(text).replace("\n", "\\n")


def _make_visible(char: str) -> str:
    number = ord(char)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"

"""The journal in a file: the default storage."""

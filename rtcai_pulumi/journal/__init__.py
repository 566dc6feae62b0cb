"""The journal: a write-ahead log of the tasks and rooms that were started and closed."""

"""The admin API under ``/-/``: state, faults, settings, the clock and the request log."""

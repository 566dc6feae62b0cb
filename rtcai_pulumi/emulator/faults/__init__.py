"""Fault injection: the kinds of faults, which requests they apply to, and how they are injected."""

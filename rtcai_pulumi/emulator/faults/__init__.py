"""Faults on demand: their kinds, which requests they hit, and how they are injected."""

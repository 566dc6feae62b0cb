"""Comparisons that are run side by side: `make bench`."""

"""Benchmarks that compare alternatives: `make bench`."""

"""Installs a Pulumi CLI for this checkout. It uses the standard library only: it runs before anything is installed.

`engine/`, `engine-oldest/` and `language-host/` are the Go modules that pin what a build contains.
"""

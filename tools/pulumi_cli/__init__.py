"""Installs a Pulumi CLI for this checkout.

`engine/`, `engine-oldest/` and `language-host/` are the Go modules that pin what a build contains.
"""

"""Installs a Pulumi CLI. The folders are the Go modules that pin what a build contains."""

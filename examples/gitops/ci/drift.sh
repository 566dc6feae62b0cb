#!/usr/bin/env bash
# Fails if a room has ended or was replaced by another one: the state is no longer correct. Changes nothing.
# usage: ci/drift.sh STACK
set -euo pipefail
pulumi refresh --preview-only --expect-no-changes --stack "$1"

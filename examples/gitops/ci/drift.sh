#!/usr/bin/env bash
# Fails where a room has ended, or another one took its place: the state no longer tells the truth. Changes nothing.
# usage: ci/drift.sh STACK
set -euo pipefail
pulumi refresh --preview-only --expect-no-changes --stack "$1"

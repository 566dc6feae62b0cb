#!/usr/bin/env bash
# Preview a change, for the comment on its pull request. Starts nothing.
# usage: ci/preview.sh STACK
set -euo pipefail
stack=$1
pulumi stack select --create "$stack"
if [ ! -e event.yaml ]; then
    echo "event.yaml is gone: merging this stops every agent of $stack."
    exec pulumi destroy --preview-only --stack "$stack"
fi
rtcai validate event.yaml
pulumi preview --diff --stack "$stack"

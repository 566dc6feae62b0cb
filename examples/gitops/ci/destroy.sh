#!/usr/bin/env bash
# Stop every agent of a stack, including those of killed runs, which are in no state.
# usage: ci/destroy.sh STACK
set -euo pipefail
pulumi destroy --yes --stack "$1"
rtcai sweep --yes --stack "$1"

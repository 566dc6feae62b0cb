#!/usr/bin/env bash
# Stop every agent of a stack, those of killed runs too, which no state knows.
# usage: ci/destroy.sh STACK
set -euo pipefail
pulumi destroy --yes --stack "$1"
rtcai sweep --yes --stack "$1"

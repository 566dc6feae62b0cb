#!/usr/bin/env bash
# Start the agents of event.yaml; without that file, stop all of them.
# usage: [UNLOCK=1] ci/up.sh STACK
set -euo pipefail
stack=$1
pulumi stack select --create "$stack"
if [ "${UNLOCK:-}" = 1 ]; then
    # Only after a runner was killed: the lock of an active run prevents two runs at the same time.
    pulumi cancel --yes --stack "$stack"
fi
# A runner was killed, and its journal is lost or an older one was fetched: stop and print the rooms, instead of starting
# a second agent in them.
rtcai pending --stack "$stack"
if [ ! -e event.yaml ]; then
    exec ci/destroy.sh "$stack"
fi
pulumi up --yes --refresh --stack "$stack"
# The agents that a killed run was starting are recovered now. If they stayed pending in the state, the next run would
# stop.
pulumi refresh --yes --clear-pending-creates --stack "$stack"

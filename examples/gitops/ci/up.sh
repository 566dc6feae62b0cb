#!/usr/bin/env bash
# Bring the rooms of event.yaml up; without that file, stop all of them.
# usage: [UNLOCK=1] ci/up.sh STACK
set -euo pipefail
stack=$1
pulumi stack select --create "$stack"
if [ "${UNLOCK:-}" = 1 ]; then
    # Only where a runner was killed: a lock that somebody holds keeps two runs apart.
    pulumi cancel --yes --stack "$stack"
fi
# A runner was killed and its journal is lost, or an older one was fetched: stop, and name the rooms, rather than start a
# second agent there.
rtcai pending --stack "$stack"
if [ ! -e event.yaml ]; then
    exec ci/destroy.sh "$stack"
fi
pulumi up --yes --refresh --stack "$stack"
# What a killed run was starting is dealt with by now; a state that still shows it would stop the next run.
pulumi refresh --yes --clear-pending-creates --stack "$stack"

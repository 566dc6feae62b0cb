#!/usr/bin/env bash
# Stop every agent of a stack, and check that none is left, neither in the state nor in the journal.
# usage: teardown.sh STACK
set -euo pipefail
stack=$1
pulumi destroy --yes --stack "$stack"
# Agents of killed runs are in no state, so `destroy` calls no provider for them.
swept=0
rtcai sweep --stack "$stack" --yes || swept=$?
if [ "$swept" != 0 ]; then
    # 3: a create was lost or is not in the journal, a run is still active, or the journal has agents of another backend.
    echo "teardown: agents of $stack may be left; see above" >&2
    exit "$swept"
fi
left=$(rtcai ls --stack "$stack" --json | python3 -c 'import json, sys
print(sum(agent["mark"] is not None for agent in json.load(sys.stdin)))')
if [ "$left" != 0 ]; then
    echo "teardown: $left agents of $stack may be left; see: rtcai ls --stack $stack" >&2
    exit 1
fi
echo "teardown: no agent of $stack is left"

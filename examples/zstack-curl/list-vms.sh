#!/bin/sh
# Lists ZStack VM instances. It holds no key and signs nothing: countersign does.
set -eu
endpoint=${COUNTERSIGN_ENDPOINT:-http://127.0.0.1:8480}
exec curl --silent --show-error --fail-with-body --max-time 30 \
    -H "Content-Type:application/x-www-form-urlencoded" \
    -X GET "$endpoint/zstack/v1/vm-instances"

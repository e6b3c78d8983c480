#!/bin/sh
# One ZStack call with an AccessKey, as the vendor's guide has it, in plain shell:
#
#     call.sh METHOD URL PATH ACCESS-KEY-ID SECRET [curl's options]
#
# URL ends with the context path, which is not signed. Prints the answer and, on a line of its own, the status.
set -eu
method=$1 url=$2 path=$3 id=$4 secret=$5
shift 5
date=$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT')
digest=$(printf '%s\n%s\n%s' "$method" "$date" "$path" | openssl dgst -sha1 -hmac "$secret" -binary | base64)
exec curl --silent --show-error --max-time 30 --write-out '\n%{http_code}' -X "$method" \
    -H "Date: $date" -H "Authorization: ZStack $id:$digest" "$@" "$url$path"

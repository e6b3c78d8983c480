#!/usr/bin/env bash
# A MinIO server on one loopback directory: the second real S3 server of the run, which verifies SigV2, SigV4 and signed
# chunks by code of its own. Built from source by Go's own client, once. Nothing is written outside DIR, the cache and
# Go's own caches.
#
#   minio.sh possible          say why not, and exit 1, when it cannot be built here
#   minio.sh install           build the pinned MinIO into $MINIO_HOME
#   minio.sh start DIR         start it, wait until it answers, write its process id to DIR/pids
#   minio.sh stop DIR          end what start began, by that id
#
# Environment: MINIO_PORT, MINIO_ACCESS_KEY, MINIO_SECRET_KEY, MINIO_REGION, MINIO_SERVER_DOMAIN (buckets may be named as
# BUCKET.$MINIO_SERVER_DOMAIN).
set -euo pipefail

# The last source of the community edition. Its release tags (RELEASE.…) are no module versions.
readonly MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
readonly MINIO_HOME=${MINIO_HOME:-${TMPDIR:-/tmp}/countersign-interop/minio-$MINIO_VERSION}
# What its go.mod asks for; Debian 12's own Go (1.19) is too old and cannot read it.
readonly GO_MAJOR=1 GO_MINOR=24

possible() {
    local major minor
    if [ -x "$MINIO_HOME/minio" ]; then
        return
    fi
    if ! command -v go >/dev/null; then
        echo "no Go toolchain"
        return 1
    fi
    IFS=. read -r major minor _ <<<"$(go env GOVERSION | tr -cd '0-9.')"
    if [ "$major" -lt "$GO_MAJOR" ] || { [ "$major" -eq "$GO_MAJOR" ] && [ "$minor" -lt "$GO_MINOR" ]; }; then
        echo "Go $major.$minor is older than $GO_MAJOR.$GO_MINOR"
        return 1
    fi
}

install() {
    if [ ! -x "$MINIO_HOME/minio" ]; then
        mkdir -p "$MINIO_HOME"
        GOBIN=$MINIO_HOME GOFLAGS=-mod=mod nice go install "github.com/minio/minio@$MINIO_VERSION"
    fi
}

start() {
    local dir=$1 answer=none
    mkdir -p "$dir"/{data,etc}
    MINIO_ROOT_USER=$MINIO_ACCESS_KEY MINIO_ROOT_PASSWORD=$MINIO_SECRET_KEY MINIO_DOMAIN=$MINIO_SERVER_DOMAIN \
        MINIO_REGION=$MINIO_REGION MINIO_BROWSER=off MINIO_UPDATE=off HOME=$dir \
        "$MINIO_HOME/minio" server --quiet --address "127.0.0.1:$MINIO_PORT" --certs-dir "$dir/etc" "$dir/data" \
        >"$dir/log" 2>&1 &
    echo $! >"$dir/pids"
    for _ in $(seq 1 300); do
        answer=$(curl --silent --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:$MINIO_PORT/minio/health/live" || true)
        [ "$answer" = 200 ] && return
        sleep 0.2
    done
    echo "MinIO did not answer within a minute ($answer); its log:" >&2
    tail -n 20 "$dir/log" >&2
    exit 1
}

stop() {
    local pid
    while read -r pid; do
        kill "$pid" 2>/dev/null || true
    done <"$1/pids"
}

case ${1:-} in
possible) possible ;;
install) install ;;
start) start "${2:?usage: minio.sh start DIR}" ;;
stop) stop "${2:?usage: minio.sh stop DIR}" ;;
*)
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

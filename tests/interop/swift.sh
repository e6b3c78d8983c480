#!/usr/bin/env bash
# OpenStack Swift with s3api and tempauth, one replica on a loopback directory: a real server that verifies SigV2 and
# SigV4 (headers, presigned queries, signed chunks). Nothing is written outside DIR and the virtual environment.
#
#   swift.sh install           put the pinned Swift into $SWIFT_VENV
#   swift.sh start DIR         start it, wait until it answers, write its process ids to DIR/pids
#   swift.sh stop DIR          end what start began, by those ids
#
# Environment: SWIFT_PORTS (four free ports: proxy account container object), SWIFT_ACCESS_KEY (account:user),
# SWIFT_SECRET_KEY, SWIFT_REGION, SWIFT_DOMAIN (buckets may be named as BUCKET.$SWIFT_DOMAIN).
set -euo pipefail

# Debian 12's own Swift (2.30) answers 501 to aws-chunked uploads; this one verifies them.
readonly SWIFT_VERSION=2.38.3
readonly SWIFT_VENV=${SWIFT_VENV:-${TMPDIR:-/tmp}/countersign-interop/swift-$SWIFT_VERSION}
readonly PYTHON=$SWIFT_VENV/bin/python
export PATH=$SWIFT_VENV/bin:$PATH

install() {
    if [ ! -e "$SWIFT_VENV/complete" ]; then
        rm -rf "$SWIFT_VENV"
        python3 -m venv "$SWIFT_VENV"
        "$SWIFT_VENV/bin/pip" install --quiet "swift==$SWIFT_VERSION"
        touch "$SWIFT_VENV/complete"
    fi
}

# storage_server DIR KIND PORT: configuration and ring of one of the three storage servers.
storage_server() {
    cat >"$1/etc/$2.conf" <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $3
user = $(id -un)
swift_dir = $1/etc
devices = $1/srv
mount_check = false
workers = 0
disable_fallocate = true
fallocate_reserve = 0
[pipeline:main]
pipeline = $2-server
[app:$2-server]
use = egg:swift#$2
replication_server = false
CONF
    (
        cd "$1/etc"
        swift-ring-builder "$2.builder" create 4 1 0
        swift-ring-builder "$2.builder" add --region 1 --zone 1 --ip 127.0.0.1 --port "$3" --device d1 --weight 1
        swift-ring-builder "$2.builder" rebalance
    ) >"$1/log/$2-ring.log"
}

# proxy_server DIR PORT: the server that speaks S3.
proxy_server() {
    cat >"$1/etc/proxy.conf" <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $2
user = $(id -un)
swift_dir = $1/etc
workers = 0
[pipeline:main]
pipeline = catch_errors gatekeeper proxy-logging cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:tempauth]
use = egg:swift#tempauth
user_${SWIFT_ACCESS_KEY/:/_} = $SWIFT_SECRET_KEY .admin
[filter:s3api]
use = egg:swift#s3api
location = $SWIFT_REGION
storage_domain = $SWIFT_DOMAIN
allow_no_owner = true
check_bucket_owner = false
auth_pipeline_check = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:symlink]
use = egg:swift#symlink
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
CONF
    chmod 600 "$1/etc/proxy.conf"
}

start() {
    local dir=$1 ports kind
    read -ra ports <<<"$SWIFT_PORTS"
    mkdir -p "$dir"/{etc,srv/d1,log}
    cat >"$dir/etc/swift.conf" <<CONF
[swift-hash]
swift_hash_path_suffix = interop
swift_hash_path_prefix = interop
[storage-policy:0]
name = default
default = yes
policy_type = replication
CONF
    storage_server "$dir" account "${ports[1]}"
    storage_server "$dir" container "${ports[2]}"
    storage_server "$dir" object "${ports[3]}"
    proxy_server "$dir" "${ports[0]}"
    : >"$dir/pids"
    for kind in account container object proxy; do
        # The servers take the rings from swift_dir but swift.conf from a fixed place; this moves that too.
        "$PYTHON" -c 'import sys
from swift.common.utils import set_swift_dir
set_swift_dir(sys.argv[1])
from swift.common.wsgi import run_wsgi
sys.exit(run_wsgi(sys.argv[2], sys.argv[3]))' "$dir/etc" "$dir/etc/$kind.conf" "$kind-server" \
            >"$dir/log/$kind.log" 2>&1 &
        echo $! >>"$dir/pids"
    done
    for _ in $(seq 1 300); do
        if curl --silent --output /dev/null "http://127.0.0.1:${ports[0]}/info"; then
            return
        fi
        sleep 0.2
    done
    echo "Swift did not answer within a minute; its logs:" >&2
    tail -n 20 "$dir"/log/*.log >&2
    exit 1
}

stop() {
    local pid
    while read -r pid; do
        kill "$pid" 2>/dev/null || true
    done <"$1/pids"
}

case ${1:-} in
install) install ;;
start) start "${2:?usage: swift.sh start DIR}" ;;
stop) stop "${2:?usage: swift.sh stop DIR}" ;;
*)
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

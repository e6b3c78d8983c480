"""What stands behind every proxy: nginx with small and large bodies, and a sink for uploads.

Gateways have a door of their own, which answers 403 to whatever is not signed with the real key, so that a run in which
one request went out unsigned counts as a run with errors.
"""

import http.client
import os
import pwd
import sys
from pathlib import Path

from stage import LOOPBACK, StageError, free_port, program

# Of the real key; its secret is in `gateway.py`.
ACCESS_KEY = "AKIDBENCHMARKREAL"
# The bodies that there are, by the last part of their path.
SMALL, MIDDLE, LARGE, SINK = "1k.jpg", "64k.jpg", "large.bin", "upload.bin"

NGINX = """{user}
worker_processes {workers}; daemon off; pid {base}.pid; error_log {base}.err crit;
worker_rlimit_nofile 65535;
events {{ worker_connections {connections}; }}
http {{
    access_log off; default_type application/octet-stream; etag off; server_tokens off;
    sendfile on; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 600s; client_max_body_size 0;
    client_body_temp_path {base}.b; proxy_temp_path {base}.p; fastcgi_temp_path {base}.f; uwsgi_temp_path {base}.u;
    scgi_temp_path {base}.s;
{servers}
}}
"""

HEADERS = """
        add_header ETag '"9a0364b9e99bb480dd25e1f0284c8555"'; add_header Accept-Ranges bytes;
        add_header Last-Modified 'Sun, 22 Nov 2026 13:00:00 GMT'; add_header x-amz-request-id 17A2B3C4D5E6F708;"""

SERVER = """
    server {{
        listen {address}:{port} backlog=4096{flags}; root {root}; {more}
{headers}
        location / {{ return 404; }}
        location ~ /1k\\.jpg$ {{ {guard} return 200 '{kilobyte}'; }}
        location ~ /64k\\.jpg$ {{ {guard} rewrite ^ /64k.jpg break; }}
        location ~ /large\\.bin$ {{ {guard} rewrite ^ /large.bin break; }}
        location ~ /upload\\.bin$ {{ {guard} proxy_pass http://{address}:{sink}; proxy_request_buffering off; proxy_http_version 1.1; }}
    }}"""

SIGNED = f'if ($http_authorization !~ "^AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/.*Signature=[0-9a-f]+$") {{ return 403; }}'


def nginx(stage, name, port, servers, workers=1, connections=4096):
    """Starts an nginx with these `server` blocks."""
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    base = stage.folder / f"{name}-{port}"
    text = NGINX.format(user=user, workers=workers, base=base, connections=connections, servers=servers)
    path = stage.write(f"{name}-{port}.conf", text)
    return stage.start(name, [program("nginx"), "-c", path, "-p", stage.folder, "-e", f"{base}.err"], port)


class Backend:
    """The running backend. `open` takes anything, `signed` only what carries the real key's signature."""

    def __init__(self, stage, large_mib, workers=1):
        self.open, self.signed = free_port(), free_port()
        self.sink = start_sink(stage)
        self.root = stage.folder / "root"
        self.root.mkdir()
        (self.root / MIDDLE).write_bytes(os.urandom(64 << 10))
        with open(self.root / LARGE, "wb") as large:
            large.truncate(large_mib << 20)  # nothing but a length: no disk is read
        servers = self.server(self.open) + self.server(self.signed, guard=SIGNED)
        nginx(stage, "backend", self.open, servers, workers)

    def prove(self):
        """Whether the doors do what runs rely on: one takes what is not signed, the other refuses it."""
        for port, expected in ((self.open, 200), (self.signed, 403)):
            asked = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
            asked.request("GET", f"/bucket/{SMALL}")
            status = asked.getresponse().status
            asked.close()
            if status != expected:
                raise StageError(f"the backend answers {status} to what is not signed, not {expected}")

    def server(self, port, flags="", more="", guard=""):
        """One `server` block."""
        return SERVER.format(
            address=LOOPBACK, port=port, flags=flags, root=self.root, more=more, headers=HEADERS, guard=guard,
            kilobyte="x" * 1024, sink=self.sink,
        )  # fmt: skip


def start_sink(stage):
    """Starts the sink; its port."""
    port = free_port()
    stage.start("sink", [sys.executable, Path(__file__).with_name("sink.py"), port], port)
    return port

"""countersign as it is measured: a realistic configuration, and the ways in which callers of it say who they are.

Every call goes through all of the request path: a route, a client that is identified, rules that allow and deny for
route and client, a signature with a real key from a file, the chained record, metrics.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from backend import ACCESS_KEY
from stage import LOOPBACK, free_port

SECRET_KEY = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY42"
LOCAL_SECRET = "a-local-secret-key-of-forty-characters-x"
REGION = "eu-central-1"
BUCKET = "bucket"

SERVER = """version = 1

[server]
listen  = ["{address}:{port}"]
admin   = "{address}:{admin}"
workers = {workers}
drain   = "1s"

[server.limits]
connections  = {connections}
idle-timeout = "10m"
"""

CREDENTIAL = """
[credentials.store]
access-key = {{ file = "{access}" }}
secret-key = {{ file = "{secret}" }}
"""

CLIENT = """
[clients.{name}]
{proof}
allow = ["s3:GetObject {bucket}/*", "s3:GetObjectVersion {bucket}/*", "s3:PutObject {bucket}/*", "s3:ListBucket {bucket}"]
deny  = ["s3:* {bucket}/private/*"]
"""

ROUTE = """
[routes.{name}]
match    = {match}
upstream = {upstream}
clients  = [{clients}]
allow    = ["s3:GetObject*", "s3:PutObject {bucket}/*", "s3:ListBucket"]
deny     = ["s3:* secret/*"]
sign.s3-v4 = {{ credential = "store", region = "{region}", payload = "{payload}" }}
"""


@dataclass(frozen=True)
class Caller:
    """How a caller proves who it is: the route of that proof is found by the host that it calls."""

    host: str
    headers: tuple = ()


def local_keys(count):
    """The clients that hold them, and the names of those keys."""
    return [(f"job-{number}", f"LOCALJOB{number:05}") for number in range(1, count + 1)]


class Gateway:
    """A running countersign with one route for each proof, told apart by host."""

    def __init__(
        self, stage, binary, upstream, *, workers=1, record=None, authority=None, http2=False, keys=1, connections=10000, routes=""
    ):  # fmt: skip
        """`record` is a file's name, or None for standard output to nowhere; `routes` is more of the configuration."""
        port, self.admin = free_port(), free_port()
        token = secrets.token_urlsafe(32)
        self.token = Caller("token.test", (f"Authorization: Bearer {token}",))
        self.connection = Caller("connection.test")
        files = {
            name: stage.write(f"{name}-{port}", text)
            for name, text in (("token", token), ("access", ACCESS_KEY), ("secret", SECRET_KEY), ("local", LOCAL_SECRET))
        }
        self.upstream = self._upstream(upstream, authority, http2)
        text = SERVER.format(address=LOOPBACK, port=port, admin=self.admin, workers=workers, connections=connections)
        if record:
            self.record = stage.folder / f"{record}-{port}.jsonl"
            text += f'\n[audit]\nfile = "{self.record}"\n'
        text += CREDENTIAL.format(**files)
        text += self._client("agent", f'token = {{ file = "{files["token"]}" }}')
        text += self._client("neighbour", f'from  = ["{LOOPBACK}/32"]')
        holders = local_keys(keys)
        for name, key in holders:
            text += self._client(name, f'keys  = [{{ access-key = "{key}", secret-key = {{ file = "{files["local"]}" }} }}]')
        text += self.route("token", '{ host = "token.test" }', ["agent"])
        text += self.route("chunked", '{ host = "chunked.test" }', ["agent"], "auto")
        text += self.route("connection", '{ host = "connection.test" }', ["neighbour"])
        text += self.route("keys", '{ host = "keys.test" }', [name for name, _ in holders])
        text += routes(self) if routes else ""
        path = stage.write(f"countersign-{port}.toml", text)
        name = f"countersign{workers}"
        self.process = stage.start(name, [Path(binary), "serve", "--config", path, "--log-format", "json"], port)

    @staticmethod
    def _upstream(port, authority, http2):
        if not authority:
            return f'"http://{LOOPBACK}:{port}"'
        http2 = "true" if http2 else "false"
        return (
            f'{{ url = "https://{LOOPBACK}:{port}", host = "{authority.name}", sni = "{authority.name}", '
            f'ca-file = "{authority.path}", http2 = {http2} }}'
        )

    @staticmethod
    def _client(name, proof):
        return CLIENT.format(name=name, proof=proof, bucket=BUCKET)

    def route(self, name, match, clients, payload="unsigned"):
        """A route of the configuration."""
        clients = ", ".join(f'"{client}"' for client in clients)
        return ROUTE.format(
            name=name, match=match, upstream=self.upstream, clients=clients, bucket=BUCKET, region=REGION, payload=payload
        )  # fmt: skip

"""Callers that keep signing and change only their endpoint and keys, on CloudStack, ZStack, ostor and UTAPI, and callers
that are known by a token or by their user instead.

With the local key each works through to a mock that verifies the gateway's signature; with one character of the secret
changed, or under a key that nobody gave out, it says what it says to the real server, and the mock has seen nothing.
"""

import hashlib
import json
import os
import subprocess

from cloudstack_clients import DENIED, ODD, Cs, GoCloudstack, Libcloud, build_go
from local import FLIPPED, KEY, SECOND, UNKNOWN, Log
from table import row
from world import REPOSITORY, WORK, Journal, endpoint, exchange, gateway_port, unix_socket

CALLERS = REPOSITORY / "tests" / "interop" / "callers"
WRONG = {"one character of the secret changed": FLIPPED, "an unknown key": UNKNOWN}
GATEWAY = "local-mocks"
LIST = "command=listUsers&response=json"


def run(*command):
    """What a program prints, its errors included."""
    bare = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_SECRET", "_TOKEN", "_KEY_ID"))}
    done = subprocess.run([str(word) for word in command], env=bare, capture_output=True, text=True, timeout=120)
    with open(WORK / "answers.log", "a", encoding="utf-8") as kept:
        kept.write(done.stdout + done.stderr)
    return (done.stdout + done.stderr).strip()


def nothing_came(caller, route, journal, log, code):
    """Two witnesses: the upstream, and the gateway's log."""
    row(caller, route, "reached the upstream", 0, len(journal.since_last()))
    row(caller, route, "as the log says it", {code}, log.refusals())


CODES = {"one character of the secret changed": "signature-mismatch", "an unknown key": "unknown-access-key"}


def cloudstack_libraries():
    """cs, Libcloud and the Go library: right key, second key, wrong ones; values that they sign wrongly are refused here
    as they are there."""
    url = endpoint(GATEWAY) + "/client/api"
    for make in (Cs, lambda url, keys: Cs(url, keys, "post"), Libcloud, GoCloudstack):
        journal, log, caller = Journal("cloudstack"), Log(GATEWAY), make(url, KEY)
        name, route = caller.name, "cloudstack, local key"
        row(name, route, "listUsers", "admin", caller.users())
        row(name, route, "deployVirtualMachine, polled to its end", "deployed", caller.deploy("web-1"))
        calls = journal.since_last()
        row(name, route, "… all signed by the gateway", ({"accepted"}, False), ({call["verdict"] for call in calls}, KEY[0] in str(calls)))
        row(name, route, "who it was, in the log", {("job", "keys", KEY[0])}, log.proofs())
        row(name, "cloudstack, enforcing POST, local key", "deployVirtualMachine", "deployed", make(endpoint(GATEWAY) + "/strict", KEY).deploy("web-2"))
        row(name, "cloudstack, second local key", "listUsers", "admin", make(url, SECOND).users())
        journal.since_last(), log.since_last()
        row(name, route, f"a value that it signs wrongly, {ODD!r}", f"error: {DENIED}", caller.odd(ODD))
        nothing_came(name, route, journal, log, "signature-mismatch")
        for what, keys in WRONG.items():
            bad = make(url, keys)
            row(name, f"cloudstack, {what}", "listUsers", f"error: {DENIED}", bad.users())
            row(name, f"cloudstack, {what}", "deployVirtualMachine", f"error: {DENIED}", bad.deploy("web-3"))
            nothing_came(name, f"cloudstack, {what}", journal, log, CODES[what])


def cloudstack_php():
    """A script that signs by itself, with everything in the query of a POST."""
    url, journal, log = endpoint(GATEWAY) + "/client/api", Journal("cloudstack"), Log(GATEWAY)
    script = ["php", CALLERS / "php" / "cloudstack.php", url]
    row("php", "cloudstack, local key", "deploy, polled to its end", "deployed", run(*script, *KEY, "web-1"))
    row("php", "cloudstack, local key", "… all signed by the gateway", {"accepted"}, {call["verdict"] for call in journal.since_last()})
    row("php", "cloudstack, local key", "who it was, in the log", {("job", "keys", KEY[0])}, log.proofs())
    for what, keys in WRONG.items():
        row("php", f"cloudstack, {what}", "deploy", f"error 401: {DENIED}", run(*script, *keys, "web-1"))
        nothing_came("php", f"cloudstack, {what}", journal, log, CODES[what])


def zstack():
    """The guide's few lines of shell; a local Date is in GMT, whatever the server's zone."""
    url, journal, log = endpoint(GATEWAY) + "/zstack", Journal("zstack"), Log(GATEWAY)

    def call(method, path, keys, *options):
        answer, _, status = run("sh", CALLERS / "zstack" / "call.sh", method, url, path, *keys, *options).rpartition("\n")
        return answer, status

    answer, status = call("GET", "/v1/vm-instances", KEY)
    row("sh, openssl", "zstack, local key", "GET /v1/vm-instances", ("200", ["web-1", "web-2"]), (status, [vm["name"] for vm in json.loads(answer)["inventories"]] if status == "200" else answer))
    answer, status = call("POST", "/v1/vm-instances", KEY, "-H", "Content-Type: application/json", "-d", '{"params": {"name": "x"}}')
    row("sh, openssl", "zstack, local key", "POST /v1/vm-instances", "202", status)
    row("sh, openssl", "zstack, local key", "… all signed by the gateway", ["accepted"] * 2, [call["verdict"] for call in journal.since_last()])
    row("sh, openssl", "zstack, local key", "who it was, in the log", {("job", "keys", KEY[0])}, log.proofs())
    texts = {"one character of the secret changed": "wrong accessKey signature", "an unknown key": "does not existed or disabled"}
    for what, keys in WRONG.items():
        answer, status = call("GET", "/v1/vm-instances", keys)
        row("sh, openssl", f"zstack, {what}", "GET /v1/vm-instances", "403 " + texts[what], f"{status} {answer}", good=status == "403" and texts[what] in answer)
        nothing_came("sh, openssl", f"zstack, {what}", journal, log, CODES[what])


def ostor():
    """A billing system that signs the first item of its query with SigV2."""
    url, journal, log = endpoint(GATEWAY), Journal("ostor"), Log(GATEWAY)
    script = ["php", CALLERS / "php" / "ostor.php", url]
    row("php", "ostor, local key", "GET ostor-usage", "200", run(*script, *KEY, "GET", "ostor-usage").split()[0])
    limit = "ostor-limits&bucket=b&limit-type=ops&limit-resource=get&limit-value=10"
    row("php", "ostor, local key", "PUT ostor-limits", "2", run(*script, *KEY, "PUT", limit)[:1])
    row("php", "ostor, local key", "… all signed by the gateway", ["accepted"] * 2, [call["verdict"] for call in journal.since_last()])
    row("php", "ostor, local key", "who it was, in the log", {("job", "keys", KEY[0])}, log.proofs())
    codes = {"one character of the secret changed": "SignatureDoesNotMatch", "an unknown key": "InvalidAccessKeyId"}
    for what, keys in WRONG.items():
        said = run(*script, *keys, "PUT", limit)
        row("php", f"ostor, {what}", "PUT ostor-limits", f"403 {codes[what]}", said, good=said.startswith("403 ") and f"<Code>{codes[what]}</Code>" in said)
        nothing_came("php", f"ostor, {what}", journal, log, CODES[what])


def utapi():
    """curl's own SigV4."""
    journal, log = Journal("utapi"), Log(GATEWAY)
    body = '{"buckets": ["utapi-bucket"], "timeRange": [1772600400000, 1772602199999]}'

    def call(keys):
        # This curl signs a header that S3 asks for, and does not think of it by itself.
        digest = hashlib.sha256(body.encode()).hexdigest()
        options = ["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", ":".join(keys), "-H", "Content-Type: application/x-amz-json-1.0", "-H", f"X-Amz-Content-Sha256: {digest}", "-d", body]
        return run("curl", "--silent", "--write-out", "\n%{http_code}", *options, f"{endpoint(GATEWAY)}/buckets?Action=ListMetrics&Version=20160815")

    row("curl --aws-sigv4", "utapi, local key", "ListMetrics", "200", call(KEY).splitlines()[-1])
    row("curl --aws-sigv4", "utapi, local key", "… signed by the gateway", ["accepted"], [call["verdict"] for call in journal.since_last()])
    log.since_last()
    for what, keys in WRONG.items():
        said = call(keys)
        row("curl --aws-sigv4", f"utapi, {what}", "ListMetrics", "403", said.splitlines()[-1])
        nothing_came("curl --aws-sigv4", f"utapi, {what}", journal, log, CODES[what])


def no_signature():
    """Routes with keys refuse everyone who does not sign, as the service itself would."""
    port, log = gateway_port(GATEWAY), Log(GATEWAY)
    cases = {
        "cloudstack": (f"/client/api?{LIST}", 401, '"errorcode":401'),
        "zstack": ("/zstack/v1/vm-instances", 400, "missing header 'Authorization'"),
        "ostor": ("/?ostor-usage", 403, "<Code>AccessDenied</Code>"),
        "utapi": ("/buckets?Action=ListMetrics", 403, "<Code>AccessDenied</Code>"),
    }
    for mock, (target, status, sign) in cases.items():
        journal = Journal(mock)
        answer = exchange(port, "GET", target, host="ostor.internal" if mock == "ostor" else None)
        row("raw", f"{mock}, local key", "no signature at all", (status, True), (answer.status, sign in answer.text))
        nothing_came("raw", f"{mock}, no signature", journal, log, "not-authenticated")


def identities():
    """Tokens, the user behind a socket, and addresses."""
    journal, log, port = Journal("cloudstack"), Log("identities"), gateway_port("identities")
    socket = unix_socket("identities")
    token, hashed, near = (os.environ[name] for name in ("LOCAL_TOKEN", "LOCAL_TOKEN_HASHED", "LOCAL_TOKEN_NEAR"))
    bearer = lambda word: ["-H", f"Authorization: Bearer {word}"]  # noqa: E731

    def call(path, *options, base=f"http://127.0.0.1:{port}", before=()):
        said = run(*before, "curl", "--silent", "--write-out", "\n%{http_code}", *options, f"{base}{path}?{LIST}")
        return said.splitlines()[-1]

    good = {
        "Bearer": ("/token", bearer(token), "agent", "token"),
        "the password of Basic": ("/token", ["--user", f"anyone:{token}"], "agent", "token"),
        "Bearer, of which the file holds the hash": ("/token", bearer(hashed), "hashed", "token"),
        "Bearer, from an address that must hold too": ("/token", bearer(near), "near", None),
        "the user behind a TCP socket": ("/user", [], "own-user", "unix-user"),
        "the user behind a unix socket": ("/user", ["--unix-socket", socket], "own-user", "unix-user"),
    }
    for what, (path, options, client, proof) in good.items():
        row("curl", "identities", what, "200", call(path, *options))
        calls = journal.since_last()
        row("curl", "identities", f"{what}: signed, and nothing of the token went on", (["accepted"], False), ([one["verdict"] for one in calls], any(word in str(calls) for word in (token, hashed, near))))
        lines = log.since_last()
        row("curl", "identities", f"{what}: in the log", (client, proof or lines[-1].get("proof")), (lines[-1]["client"], lines[-1].get("proof")))
    digest = (WORK / "token.sha256").read_text().strip()
    bad = {
        "no token": ("/token", [], {"401"}),
        "a token that nobody has": ("/token", bearer("x" * 40), {"401"}),
        "a token with one character changed": ("/token", bearer(flip(token)), {"401"}),
        "the hash itself": ("/token", bearer(digest), {"401"}),
        "the hash without its prefix": ("/token", bearer(digest.removeprefix("sha256:")), {"401"}),
        "the token in the query": (f"/token?access_token={token}&x", [], {"401"}),
        "the token in a cookie": ("/token", ["--cookie", f"token={token}"], {"401"}),
        "a token where a user is asked for": ("/nobody", bearer(token), {"401", "403"}),
        "the wrong user": ("/nobody", [], {"401", "403"}),
        "the wrong user, on a unix socket": ("/nobody", ["--unix-socket", socket], {"401", "403"}),
        "the wrong network": ("/far", [], {"401", "403"}),
        "the wrong network, and a header that claims the right one": ("/far", ["-H", "X-Forwarded-For: 198.51.100.7", "-H", "Forwarded: for=198.51.100.7"], {"401", "403"}),
    }
    for what, (path, options, statuses) in bad.items():
        status = call(path, *options)
        row("curl", "identities", f"{what}: refused", " or ".join(sorted(statuses)), status, good=status in statuses)
        row("curl", "identities", f"{what}: sent on", (0, False), (len(journal.since_last()), "forwarded" in log.refusals()))
    if os.getuid() == 0:
        other = ["setpriv", "--reuid", "65534", "--clear-groups"]
        row("curl as another user", "identities", "its own route", "200", call("/nobody", before=other))
        row("curl as another user", "identities", "someone else's route", "403", call("/user", before=other))


def flip(word):
    """The word with its last character changed."""
    return word[:-1] + ("0" if word[-1] != "0" else "1")


def main():
    build_go()
    for part in (cloudstack_libraries, cloudstack_php, zstack, ostor, utapi, no_signature, identities):
        part()


if __name__ == "__main__":
    main()

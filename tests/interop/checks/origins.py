"""Runs the keyless examples through the gateway and asks the verifying mocks what they saw.

An example passes when its own output is right, every call that reached the mock was accepted, and no call carried
anything but what the gateway made. It looks at outputs and journals only, never into the gateway.
"""

import json
import os
import subprocess
import sys

from table import row
from world import REPOSITORY, WORK, Journal, endpoint

EXAMPLES = REPOSITORY / "examples"
DEPLOY = ["--network=7c1e3a52-6f0d-4b7e-9a51-0d9a2f3b4c5d", "--offering=m1.small", "--template=5f2b6d1e-8a4c-4f3b-b1a7-2c9e7d8f0a1b"]


def script(gateway, *command, **more):
    """Runs one example against a gateway; the environment holds no key."""
    environment = {k: v for k, v in os.environ.items() if not k.endswith(("_KEY", "_SECRET", "_KEY_ID"))}
    environment |= {"COUNTERSIGN_ENDPOINT": endpoint(gateway), "POLL_SECONDS": "0.1", "POLL_TRIES": "30"} | more
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True, timeout=300)
    with open(WORK / "answers.log", "a", encoding="utf-8") as log:
        log.write(done.stdout + done.stderr)
    return done


def say(done):
    """One line about how a script ended."""
    text = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return f"exit {done.returncode}: {text[-1] if text else 'no output'}"


def cloudstack_php():
    """Origin (a), against a server that enforces POST and time stamps."""
    journal, route = Journal("cloudstack-strict"), "cloudstack-php/countersign.toml"
    deploy = EXAMPLES / "cloudstack-php" / "deploy.php"
    done = script("cloudstack-php", "php", deploy, *DEPLOY, "--name=web1", "--display=Web server é *~+ 1")
    row("php", route, "deploy a machine", "done: ssh -p 2222 203.0.113.10", done.stdout.strip().splitlines()[-1] if done.stdout else say(done))
    seen = {}
    for call in journal.since_last():
        seen.setdefault(call["operation"], []).append(call)
    wanted = {
        "listNetworks": 1, "listPublicIpAddresses": 1, "deployVirtualMachine": 1, "createEgressFirewallRule": 4,
        "createFirewallRule": 1, "createPortForwardingRule": 1, "queryAsyncJobResult": 21,
    }
    for operation, count in wanted.items():
        calls = seen.pop(operation, [])
        refused = sorted({call["reason"] for call in calls if call["verdict"] != "accepted"})
        row("php", route, operation, f"{count} accepted", f"{len(calls)} {'; '.join(refused) or 'accepted'}")
    row("php", route, "no other call", "none", ", ".join(seen) or "none")
    done = script("cloudstack-php", "php", deploy, *DEPLOY, "--name=fail-1")
    row("php", route, "a job that fails", "exit 1: deployVirtualMachine failed (530): Insufficient capacity", say(done))
    done = script("cloudstack-php", "php", deploy, *DEPLOY, "--name=slow", POLL_TRIES="1")
    row("php", route, "bounded polling", True, "still running after 1 polls" in done.stderr)
    done = script("wrong-secret", "php", deploy, *DEPLOY, "--name=web1")
    row("php", "wrong secret", "deploy a machine", "exit 1: listNetworks: error 401: unable to verify user credentials and/or request signature", say(done))


def cloudstack_go():
    """Origin (e)."""
    journal, route = Journal("cloudstack"), "cloudstack-go/countersign.toml"
    program = WORK / "list-users"
    built = subprocess.run(["go", "build", "-o", str(program), "."], cwd=EXAMPLES / "cloudstack-go", capture_output=True, text=True, timeout=300)
    if not row("go", route, "go build", "exit 0", f"exit {built.returncode}" if built.returncode == 0 else say(built)):
        return
    done = script("cloudstack-go", program)
    row("go", route, "listUsers", "users: 1", done.stdout.splitlines()[0] if done.stdout else say(done))
    row("go", route, "listUsers as the server saw it", ["GET accepted"], [f"{c['method']} {c['verdict']}" for c in journal.since_last()])
    done = script("wrong-secret", program)
    row("go", "wrong secret", "listUsers", "exit 1: listUsers: error 401: unable to verify user credentials and/or request signature", say(done))


def zstack_curl():
    """Origin (b), against a node eight hours east of UTC."""
    journal, route = Journal("zstack"), "zstack-curl/countersign.toml"
    list_vms = EXAMPLES / "zstack-curl" / "list-vms.sh"
    done = script("zstack-curl", "sh", list_vms)
    try:
        got = [vm["name"] for vm in json.loads(done.stdout)["inventories"]]
    except ValueError:
        got = say(done)
    row("curl", route, "GET /zstack/v1/vm-instances", ["web-1", "web-2"], got)
    row("curl", route, "as the server saw it", ["GET /v1/vm-instances accepted"], [f"{c['operation']} {c['verdict']}" for c in journal.since_last()])
    done = script("wrong-secret", "sh", list_vms)
    row("curl", "wrong secret", "GET /zstack/v1/vm-instances", "wrong accessKey signature", done.stdout.strip())


def ostor_php():
    """Origin (c): every call of the class."""
    journal, route = Journal("ostor"), "ostor-php/countersign.toml"
    manage = EXAMPLES / "ostor-php" / "manage.php"
    mail = "a+b@example.com"

    def call(expected, *words, pick=lambda answer: answer, gateway="ostor-php"):
        done = script(gateway, "php", manage, *words)
        try:
            got = pick(json.loads(done.stdout))
        except (ValueError, KeyError, TypeError, IndexError):
            got = say(done)
        row("php", route if gateway == "ostor-php" else "wrong secret", " ".join(words[:2]), expected, got)
        return got

    call({"Users": []}, "users")
    call(mail, "create", mail, pick=lambda a: a["UserEmail"])
    call(1, "query", mail, pick=lambda a: len(a["AWSAccessKeys"]))
    call(None, "disable", mail)
    call("disabled", "query", mail, pick=lambda a: a["State"])
    call(None, "enable", mail)
    call("enabled", "query", mail, pick=lambda a: a["State"])
    second = call(True, "generate-key", mail, pick=lambda a: len(a["AWSAccessKeys"]) == 2) and script("ostor-php", "php", manage, "query", mail)
    key = json.loads(second.stdout)["AWSAccessKeys"][1]["AWSAccessKeyId"] if second and second.returncode == 0 else "none"
    call(None, "revoke-key", mail, key)
    call(1, "query", mail, pick=lambda a: len(a["AWSAccessKeys"]))
    call(None, "set-limit", "user", mail, "ops", "get", "10")
    call({"ops:get": "10"}, "limits", "user", mail)
    call(None, "delete-limits", "user", mail)
    call(None, "set-limit", "bucket", "lab-bucket", "bandwidth", "out", "100")
    call({"bandwidth:out": "100"}, "limits", "bucket", "lab-bucket")
    listed = call(1, "usage", pick=lambda a: len(a["items"]))
    usage = "s3-usage-8000000000000065-2026-03-04T05:06:07Z-1800"
    if listed == 1:
        call("lab-bucket", "usage", usage, pick=lambda a: a["items"][0]["key"]["bucket"])
        call(None, "delete-usage", usage)
        call("exit 1: GET ostor-usage: HTTP 404 NoSuchKey", "usage", usage)
    call(None, "delete", mail)
    call("exit 1: GET ostor-users: HTTP 404 NoSuchUser", "query", mail)
    calls = journal.since_last()
    row("php", route, "every call as the server saw it", "accepted", ", ".join(sorted({c["verdict"] for c in calls})))
    typed = [c["operation"] for c in calls if any(name == "content-type" and value for name, value in c["headers"])]
    row("php", route, "Content-Type on bodiless requests", "none", ", ".join(typed) or "none")
    call("exit 1: GET ostor-users: HTTP 403 SignatureDoesNotMatch", "users", gateway="wrong-secret-ostor")


def utapi():
    """Origin (d), in both languages."""
    for language, command in {"node": ["node", EXAMPLES / "utapi-node" / "list-metrics.js"], "python": [sys.executable, EXAMPLES / "utapi-python" / "list_metrics.py"]}.items():
        journal, route = Journal("utapi"), f"utapi-{language}/countersign.toml"
        done = script(f"utapi-{language}", *command, "utapi-bucket")
        try:
            got = json.loads(done.stdout)[0]["operations"]["s3:PutObject"]
        except (ValueError, KeyError, IndexError):
            got = say(done)
        row(language, route, "ListMetrics", 1, got)
        row(language, route, "as the server saw it", ["accepted"], [c["verdict"] for c in journal.since_last()])
        done = script("wrong-secret", *command, "utapi-bucket")
        row(language, "wrong secret", "ListMetrics", "HTTP 403 SignatureDoesNotMatch", f"HTTP {403 if 'HTTP 403' in done.stderr else done.stderr} {'SignatureDoesNotMatch' if 'SignatureDoesNotMatch' in done.stderr else ''}".strip())


if __name__ == "__main__":
    for origin in (cloudstack_php, cloudstack_go, zstack_curl, ostor_php, utapi):
        origin()

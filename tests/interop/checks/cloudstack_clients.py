"""CloudStack's client libraries, which sign with throw-away keys that the gateway replaces: cs, Apache Libcloud, Go.

Each of them encodes some value in a way that the server does not (`~`, `*`, `[`): straight to the server such a call
fails with the right keys, through the gateway it must pass, because the gateway builds every request anew.
"""

import os
import subprocess

from cs import CloudStack, CloudStackException
from libcloud.common.types import InvalidCredsError
from libcloud.compute.drivers.cloudstack import CloudStackNodeDriver

from table import row
from world import REPOSITORY, WORK, Journal, endpoint, mock_port

THROWAWAY = ("throw-away-key", "throw-away-secret")
RIGHT = (os.environ["CLOUDSTACK_API_KEY"], os.environ["CLOUDSTACK_SECRET_KEY"])
DENIED = "unable to verify user credentials and/or request signature"
# Where the libraries and the server part ways.
ODD = "a*b~c [d] é+1%"
POLLS = 3  # the server's jobs are pending twice


class Cs:
    """cs (PyPI), with GET or POST. It speaks signature version 3 and sends an `expires` of its own."""

    def __init__(self, url, keys, method="get"):
        self.name = f"cs, {method.upper()}"
        self._cloud = CloudStack(url, *keys, method=method, poll_interval=0.05, fetch_result=True)

    def _call(self, command, **parameters):
        try:
            return getattr(self._cloud, command)(**parameters)
        except CloudStackException as error:
            return f"error: {(getattr(error, 'error', None) or {}).get('errortext', error)}"

    def users(self):
        answer = self._call("listUsers")
        return answer["user"][0]["username"] if isinstance(answer, dict) else answer

    def odd(self, value):
        return "done" if (answer := self._call("listVirtualMachines", keyword=value)) == {} else answer

    def deploy(self, name):
        answer = self._call("deployVirtualMachine", zoneid="z", serviceofferingid="o", templateid="t", name=name)
        return "deployed" if isinstance(answer, dict) and "virtualmachine" in answer else answer


class Libcloud:
    """Apache Libcloud (PyPI): GET only, names lower-cased before they are sorted."""

    name = "libcloud"

    def __init__(self, url, keys):
        self._cloud = CloudStackNodeDriver(*keys, secure=False, url=url)
        self._cloud.connection.poll_interval = 0.05

    @staticmethod
    def _answer(action, *arguments, **named):
        try:
            return action(*arguments, **named)
        except Exception as error:  # it raises the bare class
            return f"error: {DENIED if isinstance(error, InvalidCredsError) else error}"  # what it makes of every 401

    def users(self):
        answer = self._answer(self._cloud._sync_request, "listUsers")
        return answer["user"][0]["username"] if isinstance(answer, dict) else answer

    def odd(self, value):
        return "done" if (answer := self._answer(self._cloud.ex_create_tags, ["1"], "UserVm", {"note": value})) is True else answer

    def deploy(self, name):
        answer = self._answer(self._cloud._async_request, "deployVirtualMachine", params={"zoneid": "z", "serviceofferingid": "o", "templateid": "t", "name": name})
        return "deployed" if isinstance(answer, dict) and "virtualmachine" in answer else answer


class GoCloudstack:
    """The Go library that the CloudStack command line and the Terraform provider grew from; see callers/go-cloudstack."""

    name = "go-cloudstack"
    program = WORK / "go-cloudstack"

    def __init__(self, url, keys):
        self._command = [self.program, url, *keys]

    def _run(self, *words):
        done = subprocess.run([*self._command, *words], capture_output=True, text=True, timeout=60)
        # The right keys stand in its command line, never in what it says.
        with open(WORK / "answers.log", "a", encoding="utf-8") as log:
            log.write(done.stdout + done.stderr)
        said = (done.stdout + done.stderr).strip()
        return f"error: {DENIED if DENIED in said else said}" if done.returncode else said

    def users(self):
        return "admin" if (answer := self._run("users")) == "users: 1, first: admin" else answer

    def odd(self, value):
        return "done" if (answer := self._run("keyword", value)) == "machines: 0" else answer

    def deploy(self, name):
        return "deployed" if (answer := self._run("deploy", name)) == "deployed: true" else answer


def check(make, odd_parameter):
    """One library: through the gateway, behind a wrong secret, and straight."""
    journal, route = Journal("cloudstack"), "cloudstack"
    caller = make(endpoint("mocks") + "/client/api", THROWAWAY)
    name = caller.name
    row(name, route, "listUsers", "admin", caller.users())
    row(name, route, f"a value {ODD!r}", "done", caller.odd(ODD))
    calls = journal.since_last()
    row(name, route, "… as the server saw it", [ODD], [value for call in calls for parameter, value in call["parameters"] if parameter == odd_parameter])
    row(name, route, "deployVirtualMachine, polled to its end", "deployed", caller.deploy("web-1"))
    calls += (deployed := journal.since_last())
    row(name, route, "… as the server saw it", ["deployVirtualMachine", *["queryAsyncJobResult"] * POLLS], [call["operation"] for call in deployed])
    row(name, route, "… all signed by the gateway", {"accepted"}, {call["verdict"] for call in calls})
    row(name, route, "… nothing of the throw-away keys", False, any(secret in str(calls) for secret in THROWAWAY))
    lost = caller.deploy("fail-1")
    row(name, route, "a job that fails", "error with its text", lost, good="Insufficient capacity" in str(lost))
    strict = make(endpoint("mocks") + "/strict", THROWAWAY)
    row(name, "cloudstack, enforcing POST", "deployVirtualMachine", "deployed", strict.deploy("web-2"))
    row(name, "wrong secret", "listUsers", f"error: {DENIED}", make(endpoint("wrong-secret") + "/client/api", THROWAWAY).users())
    straight = make(f"http://127.0.0.1:{mock_port('cloudstack')}/client/api", RIGHT)
    row(name, "straight, right keys", "listUsers", "admin", straight.users())
    row(name, "straight, right keys", f"a value {ODD!r}", f"error: {DENIED}", straight.odd(ODD))


def build_go():
    """Builds the program around the Go library; whether that went well."""
    built = subprocess.run(["go", "build", "-o", str(GoCloudstack.program), "."], cwd=REPOSITORY / "tests/interop/callers/go-cloudstack", env=os.environ | {"GOFLAGS": "-mod=mod"}, capture_output=True, text=True, timeout=600)
    return row("go-cloudstack", "", "go build", "exit 0", f"exit {built.returncode}: {built.stderr}" if built.returncode else "exit 0")


def main():
    if build_go():
        check(GoCloudstack, "keyword")
    check(Cs, "keyword")
    check(lambda url, keys: Cs(url, keys, "post"), "keyword")
    check(Libcloud, "tags[0].value")


if __name__ == "__main__":
    main()

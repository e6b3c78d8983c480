"""Local keys as the checks hold them, and the gateway's log as it tells who called."""

import os
import time

from records import outcomes
from world import WORK

KEY = ("LOCALINTEROP01", os.environ["LOCAL_SECRET_KEY"])
SECOND = ("LOCALINTEROP02", os.environ["LOCAL_SECOND_KEY"])


def flipped(keys):
    """The same key with one character of its secret changed."""
    access, secret = keys
    at = len(secret) // 2
    return access, secret[:at] + ("0" if secret[at] != "0" else "1") + secret[at + 1 :]


# The right secret under a name that nobody gave out.
UNKNOWN = ("LOCALINTEROP99", KEY[1])
FLIPPED = flipped(KEY)


class Log:
    """The log of one gateway; `since_last()` gives what came since it was asked before."""

    def __init__(self, gateway):
        self._path, self._read = WORK / "gateway" / gateway / "stdout.log", 0
        self.since_last()

    def since_last(self):
        """The records of calls that ended since this was asked before."""
        time.sleep(0.2)  # a line is written after its answer
        lines = list(outcomes(self._path))
        fresh, self._read = lines[self._read :], len(lines)
        return fresh

    def proofs(self):
        """Whose calls were served since, and how it was proved."""
        return {(line["client"], line.get("proof"), line.get("local-key")) for line in self.since_last() if not line.get("error")}

    def refusals(self):
        """With which codes calls were refused since; `forwarded` is among them when one was sent on."""
        lines = self.since_last()
        return {line.get("error") or "forwarded" for line in lines} | {"forwarded" for line in lines if line["upstream-ms"] > 0}

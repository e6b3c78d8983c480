"""The record of every gateway of this run, read without a line of its code: the chain recomputed, intents before outcomes,
and what `countersign audit` says of the same lines, also after one byte of them was changed.
"""

import hashlib
import json
import os
import random
import re
import subprocess
from collections import Counter

from table import row
from world import WORK

TAIL = re.compile(rb'(.*,"seq":([0-9]+)),"hash":"([0-9a-f]{64})"\}', re.DOTALL)


def outcomes(path):
    """The outcomes in a record, each flat, as the other checks look at them."""
    for line in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(line)
        ours = line.get("additionalEventData", {})
        if ours.get("record") != "outcome":
            continue
        who = line["userIdentity"]
        yield {
            "request-id": line["requestID"],
            "client": {"Client": who.get("userName"), "Anonymous": "anonymous", "Unknown": ""}[who["type"]],
            "proof": who.get("proof"),
            "local-key": who.get("accessKeyId"),
            # Errors of the gateway's own say what they mean.
            "error": line["errorCode"] if "errorMessage" in line else "",
            "status": ours.get("status", 0),
            "upstream-ms": ours.get("firstByteMs", 0),
        }


def chain(text):
    """What is wrong with the chain of these lines, recomputed from its definition."""
    previous = bytes(32)
    for number, line in enumerate(text.splitlines()):
        match = TAIL.fullmatch(line)
        if not match or int(match[2]) != number or hashlib.sha256(previous + match[1]).hexdigest() != match[3].decode():
            return f"line {number + 1}"
        previous = bytes.fromhex(match[3].decode())
    return "none"


def pairs(text):
    """Calls whose lines are not what they should be: one outcome each, an intent before it unless it is a read that was sent."""
    intents, ended, wrong = set(), Counter(), []
    for line in map(json.loads, text.splitlines()):
        ours = line.get("additionalEventData")
        if ours is None:
            continue
        if ours["record"] == "intent":
            intents.add(line["requestID"])
            continue
        ended[line["requestID"]] += 1
        sent = ours.get("attempts", 0) > 0
        if sent and not line["readOnly"] and line["requestID"] not in intents:
            wrong.append(f"{line['eventName']} was sent without an intent")
    wrong += [f"{call} ended {count} times" for call, count in ended.items() if count > 1]
    wrong += [f"{call} has no end" for call in intents - set(ended)]
    return "; ".join(wrong[:5]) or "none"


def audit(*words):
    done = subprocess.run([os.environ["COUNTERSIGN"], "audit", *words], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout


def main():
    dice = random.Random(20261122)
    for folder in sorted(path for path in (WORK / "gateway").iterdir() if path.is_dir()):
        name = folder.name
        path = folder / "audit.jsonl"
        if not path.exists():
            path = folder / "stdout.log"
        # A gateway still writes: the lines up to now, whole ones only.
        text = path.read_bytes()
        text = text[: text.rfind(b"\n") + 1]
        kept = folder / "record.jsonl"
        kept.write_bytes(text)
        count = text.count(b"\n")
        row("record", name, f"chain of {count} lines, recomputed", "none", chain(text))
        row("record", name, "calls whose lines are incomplete", "none", pairs(text))
        code, told = audit("verify", "--from", str(kept), "--format", "json")
        row("record", name, "audit verify", (0, []), (code, json.loads(told).get("problems", told)))
        flipped = bytearray(text)
        at = dice.randrange(len(flipped))
        flipped[at] ^= 1 << dice.randrange(8)
        forged = folder / "forged.jsonl"
        forged.write_bytes(flipped)
        row("record", name, f"audit verify, one bit of byte {at} changed", 4, audit("verify", "--from", str(forged))[0])
        code, told = audit("query", "--from", str(kept), "--format", "json", "--limit", str(count))
        expected = Counter(line["request-id"] for line in outcomes(kept))
        found = Counter(json.loads(line)["requestID"] for line in told.splitlines())
        row("record", name, f"audit query finds all {expected.total()} calls", (0 if expected else 4, "0 missing, 0 more"), (code, f"{(expected - found).total()} missing, {(found - expected).total()} more"))


if __name__ == "__main__":
    main()

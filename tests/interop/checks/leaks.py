"""No secret and no signature in anything that a gateway said: its logs, its metrics, the answers callers got.

The canaries are the secrets that this run generated, of credentials, local keys and tokens, and the signatures of URLs that
callers presigned with local keys; the signatures are those that the mocks received.
"""

import base64
import re
from urllib.parse import quote

from table import row
from world import WORK, Journal, admin_port, exchange


def spellings(secret):
    """A secret as it is and as an encoder would write it."""
    return {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode(), secret.encode().hex()}


def signatures():
    """Every signature that reached a mock."""
    for mock in sorted(path.name for path in (WORK / "mock").iterdir()):
        for call in Journal(mock).everything():
            if call["verdict"] != "accepted":
                continue  # a refused call may carry a caller's own made-up signature
            yield from (value for name, value in call["parameters"] if name.lower() == "signature")
            for name, value in call["headers"]:
                if name == "authorization" and (match := re.search(r"(?:Signature=|:)([A-Za-z0-9+/=]{27,})$", value)):
                    yield match.group(1)


def main():
    outputs = sorted(WORK.glob("gateway/*/*.log")) + [WORK / "answers.log"]
    gateways = sorted(path.name for path in (WORK / "gateway").iterdir())
    for name in gateways:
        for page in ("/metrics", "/readyz", "/livez"):
            exchange(admin_port(name), "GET", page)  # its answer lands in answers.log
    texts = {path: path.read_bytes() for path in outputs}
    silent = [name for name in gateways if not any(text for path, text in texts.items() if path.parent.name == name)]
    row("leaks", f"{len(gateways)} gateways", "gateways that logged nothing", "none", ", ".join(silent) or "none")
    canaries = [line for line in (WORK / "canaries").read_text().splitlines() if line]
    found = sorted({f"canary {number} in {path.relative_to(WORK)}" for path, text in texts.items() for number, canary in enumerate(canaries) for form in spellings(canary) if form.encode() in text})
    row("leaks", f"{len(gateways)} gateways", f"{len(canaries)} secrets in logs, metrics and answers", "none", "; ".join(found) or "none")
    sent = set(signatures())
    # The mocks never answer with a signature, so one in answers.log would be the gateway's doing as well.
    leaked = sorted({str(path.relative_to(WORK)) for path, text in texts.items() for signature in sent if signature.encode() in text})
    row("leaks", f"{len(gateways)} gateways", "signatures in logs, metrics and answers", "none", "; ".join(leaked) or "none")
    row("leaks", f"{len(gateways)} gateways", "signatures were looked for", True, len(sent) > 50)


if __name__ == "__main__":
    main()

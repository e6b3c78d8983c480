"""An authority of this run's own, and the certificate of the backend's TLS doors. Made by openssl, gone with the stage."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from stage import StageError, program

NAME = "store.test"
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


@dataclass(frozen=True)
class Authority:
    """What a proxy trusts, and for which name."""

    path: Path
    name: str
    certificate: Path
    key: Path


def make(stage):
    """An authority and one certificate under it."""
    at = {name: stage.folder / f"{name}.pem" for name in ("ca", "ca-key", "leaf", "leaf-key", "request")}
    extensions = stage.write("leaf.ext", f"subjectAltName = DNS:{NAME}\nbasicConstraints = critical, CA:FALSE\nextendedKeyUsage = serverAuth\n")
    openssl("req", "-x509", *CURVE, "-subj", "/CN=benchmark authority", "-addext", "keyUsage = critical, keyCertSign, cRLSign",
            "-keyout", at["ca-key"], "-out", at["ca"])  # fmt: skip
    openssl("req", *CURVE[:-2], "-subj", f"/CN={NAME}", "-keyout", at["leaf-key"], "-out", at["request"])
    openssl("x509", "-req", "-in", at["request"], "-CA", at["ca"], "-CAkey", at["ca-key"], "-CAcreateserial", "-days", "2",
            "-extfile", extensions, "-out", at["leaf"])  # fmt: skip
    return Authority(at["ca"], NAME, at["leaf"], at["leaf-key"])


def openssl(*words):
    """Runs it."""
    command = [program("openssl"), *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if ended.returncode:
        raise StageError(f"openssl {words[0]}: {ended.stderr[-500:]}")

"""S3 callers that talk TLS to the gateway, and HTTP/2 where they can; the certificate is the run's own and verified.

Uploads with aws-chunked trailers, the default of some of them over TLS, are in sdk_chunked.py: here they are switched
off by the callers' own setting. Usage: s3_tls.py v2|v4
"""

import subprocess
import sys

from s3_clients import KEYS, NO_KEYS, Aws, Boto3, Curl, all_denied, round_trip
from s3_own_keys import AwsSdkJs, Minio
from table import row
from world import CERTIFICATE, tls_endpoint


def plain_curl(url, *options):
    """The HTTP version and status of one read of what is not there, and curl's own verdict."""
    done = subprocess.run(["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}", *options, f"{url}/nowhere/nothing"], env=NO_KEYS, capture_output=True, text=True, timeout=60)
    return f"{done.stdout}, exit {done.returncode}"


def main(version):
    route = f"swift, s3-{version}, TLS"
    url, wrong = tls_endpoint(f"swift-{version}"), tls_endpoint(f"swift-{version}-wrong")
    trust = ("--cacert", str(CERTIFICATE))
    for name, option, keys in (("curl, HTTP/2", "--http2", KEYS), ("curl, HTTP/1.1", "--http1.1", KEYS[:3])):
        bucket = f"tls-{option.strip('-').replace('.', '')}-{version}"
        round_trip(Curl(url, name, options=(*trust, option)), route, bucket, keys)
        all_denied(Curl(wrong, name, options=(*trust, option)), f"{route}, wrong secret", f"{bucket}-wrong")
    row("curl, HTTP/2", route, "the protocol that was spoken", "2 404, exit 0", plain_curl(url, *trust, "--http2"))
    row("curl, HTTP/1.1", route, "the protocol that was spoken", "1.1 404, exit 0", plain_curl(url, *trust, "--http1.1"))
    row("curl", route, "the certificate is verified", "0 000, exit 60", plain_curl(url))
    with AwsSdkJs(url, keys=None, authority=CERTIFICATE) as sdk:
        callers = [
            Minio(url, keys=None, authority=CERTIFICATE),
            sdk,
            Boto3(url, authority=CERTIFICATE, request_checksum_calculation="when_required"),
            Aws(url, authority=CERTIFICATE, AWS_REQUEST_CHECKSUM_CALCULATION="when_required"),
        ]
        for number, caller in enumerate(callers):
            round_trip(caller, route, f"tls{number}-{version}", KEYS[:3])


if __name__ == "__main__":
    main(*sys.argv[1:])

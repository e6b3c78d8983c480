"""Reads the metrics of UTAPI buckets for the last full quarter of an hour and the current one.

It holds no key and signs nothing: countersign does.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

QUARTER = 15 * 60 * 1000


def list_metrics(endpoint, buckets, time_range):
    """The decoded answer: one entry per bucket."""
    request = urllib.request.Request(
        f"{endpoint}/buckets?Action=ListMetrics&Version=20160815",
        data=json.dumps({"buckets": buckets, "timeRange": time_range}).encode(),
        headers={"Content-Type": "application/x-amz-json-1.0"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def main():
    buckets = sys.argv[1:]
    if not buckets:
        sys.exit("usage: python3 list_metrics.py BUCKET...")
    endpoint = os.environ.get("COUNTERSIGN_ENDPOINT", "http://127.0.0.1:8480").rstrip("/")
    # UTAPI wants a start on a quarter of an hour and an end one millisecond before one.
    this_quarter = int(time.time() * 1000) // QUARTER * QUARTER
    try:
        metrics = list_metrics(endpoint, buckets, [this_quarter - QUARTER, this_quarter + QUARTER - 1])
    except urllib.error.HTTPError as error:
        sys.exit(f"HTTP {error.code}: {error.read().decode(errors='replace')}")
    except OSError as error:
        sys.exit(str(error))
    print(json.dumps(metrics, indent=2))


if __name__ == "__main__":
    main()

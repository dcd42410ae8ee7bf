"""Have `hello` run through the gateway, and wait until it has succeeded: smoke.py URL SECONDS.

Standard library only; it runs in the gateway's image. What does not answer yet is asked again, with
the same id, so that there is one run however often it is asked for.
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

PAUSE = 2.0
ENDS = ("Succeeded", "Failed", "Error", "Rejected", "Expired", "Deleted")
# What may be asked again (docs/api.md), and 404 of a replica that has not read of the run yet.
PASSING = (404, 408, 429, 500, 503)


def ask(url: str, document: object = None) -> dict[str, object]:
    """Send a request and give the answer's JSON; a no that no repetition would change ends all."""
    body = None if document is None else json.dumps(document).encode()
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("SLUICE_API_KEY"):
        headers["Authorization"] = f"Bearer {key.strip()}"
    request = urllib.request.Request(url, body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            answer: dict[str, object] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        if error.code not in PASSING:
            sys.exit(f"{url}: {error.code} {said}")
        raise ConnectionError(f"{error.code} {said}") from error


def main(url: str, seconds: str) -> None:
    """Wait for the run's end; exits with 1 unless it is a good one."""
    run: dict[str, object] = {"id": f"smoke-{uuid.uuid4()}", "workflow": "hello"}
    run["parameters"] = {"name": "smoke"}
    deadline = time.monotonic() + float(seconds)
    accepted, seen = False, None
    while seen not in ENDS:
        if time.monotonic() > deadline:
            sys.exit(f"{run['id']} did not end within {seconds} s; the last seen was: {seen}")
        try:
            if not accepted:
                ask(f"{url}/v1/runs", run)
                accepted = True
            now = ask(f"{url}/v1/runs/{run['id']}")["phase"]
        except (OSError, http.client.HTTPException, ValueError) as error:
            now = f"no answer: {error}"
        if now != seen:
            print(f"{run['id']}: {now}", flush=True)  # noqa: T201 - a log for people
        seen = now
        if seen not in ENDS:
            time.sleep(PAUSE)
    sys.exit(0 if seen == "Succeeded" else f"{run['id']} ended as {seen}")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Compares what the gateway does with what its OpenAPI document says: `make test-conformance`.

schemathesis makes the cases: by each phase, valid and invalid, and along the links.
"""

import argparse
import asyncio
import logging
import os
import re
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import structlog

from sluice_contracts.api_keys import SECRET_BYTES, digest, write_key
from sluice_gateway.domain.api_keys import ApiKey, ApiKeys, Secret
from sluice_gateway.domain.identity import Grants, Scope
from sluice_gateway.ports import RunView
from sluice_gateway.services.api_key_authentication import ApiKeyAuthenticator
from sluice_gateway.services.authentication import AuthenticatorChain
from sluice_gateway.services.identification import GrantedIdentification, Identification
from sluice_gateway.services.subscriptions import Subscription
from tests.contract.gateway import ending_gateway
from tests.unit.gateway.identities import grant

__all__ = ["Result", "conformance"]

_HERE = Path(__file__).parent
_EXAMPLES = 15
"""Cases of each operation in a round of fuzzing; coverage and stateful come on top."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The cases that were tried; `failure` is what schemathesis printed, if one failed."""

    cases: int
    failure: str | None


async def conformance(folder: Path, *, cases: int, seed: int) -> Result:
    """Try at least so many cases, in rounds whose seeds count up, until one fails."""
    tried = 0
    key, identification = _one_client()
    async with (
        ending_gateway(folder, identification=identification) as gateway,
        _ending_streams(gateway.view),
    ):
        address = f"{gateway.client.make_url('/openapi.json')}"
        while tried < cases:
            code, printed = await _schemathesis(address, key=key, seed=seed)
            found = re.search(r"(\d+) generated", printed)
            if code != 0 or found is None:
                return Result(cases=tried, failure=printed)
            tried += int(found[1])
            seed += 1
    return Result(cases=tried, failure=None)


def _one_client() -> tuple[str, Identification]:
    """Return an API key that may do everything, and what knows it and nobody else."""
    key = write_key("conformance0", secrets.token_bytes(SECRET_BYTES))
    stored = ApiKey(id="conformance0", principal="test", secrets=(Secret(sha256=digest(key)),))
    known, grants = ApiKeys([stored]), Grants((grant("test", *Scope),))
    authenticator = AuthenticatorChain(api_keys=ApiKeyAuthenticator(lambda: known))
    return key, GrantedIdentification(authenticator, grants=lambda: grants)


class _ReadOnce(Subscription):
    """Says that the gateway stops, as soon as the stream has looked at the view."""

    def looked(self) -> None:
        super().looked()
        self.close()


@asynccontextmanager
async def _ending_streams(view: RunView) -> AsyncIterator[None]:
    """End the streams of all runs once they have sent what there is, for they would never end."""
    with patch.object(view, "subscribe_all", lambda: nullcontext(_ReadOnce())):
        yield


async def _schemathesis(address: str, *, key: str, seed: int) -> tuple[int | None, str]:
    """Run a round; return its exit code and what it printed."""
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.contract.schemathesis_hooks",
        "PYTHONPATH": str(_HERE.parents[1]),
        "NO_COLOR": "1",
        "SLUICE_API_KEY": key,
    }
    process = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).with_name("schemathesis"), "--config-file"),
        *(_HERE / "schemathesis.toml", "run", address, "--checks", "all", "--phases"),
        *("examples,coverage,fuzzing,stateful", "--continue-on-failure"),
        *("--seed", str(seed), "--max-examples", str(_EXAMPLES)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def _run(cases: int, seed: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        result = await conformance(Path(folder), cases=cases, seed=seed)
    sys.stdout.write(result.failure or f"{result.cases} cases, 0 failures\n")
    return 0 if result.failure is None else 1


def main() -> int:
    """Try many cases."""
    parser = argparse.ArgumentParser(description="Compare the gateway with its OpenAPI document.")
    parser.add_argument("--cases", type=int, default=5000, help="at least so many (5000)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round (1)")
    arguments = parser.parse_args()
    # A line for each run that is started would hide the result.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    return asyncio.run(_run(arguments.cases, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())

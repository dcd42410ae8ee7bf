"""A stand-in for GitHub's issuer of tokens: GitHub itself cannot be reached from a test.

It gives a job a token as GitHub documents it, with the claims of its documentation and, since
July 2026, ids in `sub`: https://docs.github.com/en/actions/reference/security/oidc
"""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.fake_issuer import jwk, token

ISSUER: Final = "https://token.actions.githubusercontent.com"
_REQUEST_TOKEN: Final = "of-this-job"

CLAIMS: Final = {
    "jti": "example-id",
    "sub": "repo:octo-org@65/octo-repo@74:ref:refs/heads/main",
    "ref": "refs/heads/main",
    "sha": "0123456789abcdef0123456789abcdef01234567",
    "repository": "octo-org/octo-repo",
    "repository_owner": "octo-org",
    "actor_id": "12",
    "repository_visibility": "private",
    "repository_id": "74",
    "repository_owner_id": "65",
    "run_id": "30433642",
    "run_number": "10",
    "run_attempt": "2",
    "runner_environment": "github-hosted",
    "actor": "octocat",
    "workflow": "example-workflow",
    "head_ref": "",
    "base_ref": "",
    "event_name": "push",
    "ref_type": "branch",
    "job_workflow_ref": "octo-org/octo-repo/.github/workflows/start.yaml@refs/heads/main",
}


@dataclass
class FakeGitHub:
    """The issuer; `claims` are those of the job that asks."""

    issuer: str
    claims: dict[str, Any] = field(default_factory=lambda: dict(CLAIMS))

    def job_environment(self) -> dict[str, str]:
        """Give the variables that GitHub sets in a job with `id-token: write`."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.issuer}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": _REQUEST_TOKEN,
            "GITHUB_SHA": str(self.claims["sha"]),
            "GITHUB_ACTOR": str(self.claims["actor"]),
        }


@asynccontextmanager
async def fake_github() -> AsyncIterator[FakeGitHub]:
    """Run the issuer on a free port of loopback."""
    github = FakeGitHub(issuer="")

    async def describe(_: web.Request) -> web.Response:
        return web.json_response({"issuer": github.issuer, "jwks_uri": f"{github.issuer}/jwks"})

    async def keys(_: web.Request) -> web.Response:
        return web.json_response({"keys": [jwk("rsa-1")]})

    async def give(request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").lower() != f"bearer {_REQUEST_TOKEN}":
            return web.Response(status=401)
        now = int(time.time())
        times = {"iat": now, "nbf": now - 300, "exp": now + 300}
        claims = {**github.claims, **times, "iss": github.issuer, "aud": request.query["audience"]}
        return web.Response(body=json.dumps({"count": 1, "value": token(claims)}))

    app = web.Application()
    app.add_routes(
        [
            web.get("/.well-known/openid-configuration", describe),
            web.get("/jwks", keys),
            web.get("/token", give),
        ]
    )
    async with TestServer(app) as server:
        github.issuer = str(server.make_url("")).rstrip("/")
        yield github

"""Tokens for Amazon MSK: their signer and their content.

No test calls AWS. The Pod Identity agent and STS are fakes on loopback, and the signature
is computed independently, as IAM's user guide describes it:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import base64
import hashlib
import hmac
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sluice_runtime.kafka.auth.msk_iam import MskIamTokens
from sluice_runtime.kafka.errors import CredentialsError
from sluice_runtime.kafka.settings import KafkaSettings, connection

REGION = "eu-central-1"
KEY, SECRET, SESSION = (
    "AKIDEXAMPLE",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "a/session+token==",
)
AUTHORIZATION = "of-the-pod"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove all credentials except those of a test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SESSION)


def opened(token: str) -> str:
    """Return the URL in the token."""
    assert "=" not in token
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()


def signature(query: dict[str, str], *, host: str, secret: str) -> str:
    """Return the signature of a GET with its credentials in the query."""
    canonical_query = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items())
    )
    nothing = hashlib.sha256(b"").hexdigest()
    request = f"GET\n/\n{canonical_query}\nhost:{host}\n\nhost\n{nothing}"
    _, *scope = query["X-Amz-Credential"].split("/")
    hashed = hashlib.sha256(request.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], "/".join(scope), hashed])
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def checked(token: str, *, key: str = KEY, secret: str = SECRET, session: str = SESSION) -> None:
    """Check that a broker accepts the token, and that these credentials signed it."""
    address = urlsplit(opened(token))
    assert (address.scheme, address.netloc, address.path) == (
        "https",
        f"kafka.{REGION}.amazonaws.com",
        "/",
    )
    query = dict(parse_qsl(address.query, strict_parsing=True))
    date = query["X-Amz-Date"][:8]
    assert query.pop("User-Agent") == "sluice"
    signed = query.pop("X-Amz-Signature")
    assert query == {
        "Action": "kafka-cluster:Connect",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{key}/{date}/{REGION}/kafka-cluster/aws4_request",
        "X-Amz-Date": query["X-Amz-Date"],
        "X-Amz-Expires": "900",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Security-Token": session,
    }
    assert signed == signature(query, host=address.netloc, secret=secret)


@pytest.mark.usefixtures("keys")
async def test_a_token_is_a_signed_request_to_connect() -> None:
    checked(await MskIamTokens(REGION).token())


@pytest.mark.usefixtures("keys")
async def test_a_connection_to_msk_uses_signed_tokens() -> None:
    settings = KafkaSettings(
        security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", aws_region=REGION
    )
    arguments = connection(settings, client_id="me")
    assert arguments["sasl_mechanism"] == "OAUTHBEARER"
    checked(await arguments["sasl_oauth_token_provider"].token())


class Agent:
    """A fake agent of EKS Pod Identity."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.lifetime = timedelta(hours=6)

    async def answer(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == AUTHORIZATION
        self.asked += 1
        if self.status != 200:
            return web.Response(status=self.status, text="no association")
        expiration = datetime.now(UTC) + self.lifetime
        return web.json_response(
            {
                "AccessKeyId": f"{KEY}{self.asked}",
                "SecretAccessKey": f"{SECRET}{self.asked}",
                "Token": SESSION,
                "AccountId": "123456789012",
                "Expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )


@pytest.fixture
async def agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Agent]:
    """The fake agent, and the variables that the webhook of Pod Identity sets in a pod."""
    made = Agent()
    app = web.Application()
    app.router.add_get("/v1/credentials", made.answer)
    (tmp_path / "eks-pod-identity-token").write_text(AUTHORIZATION)
    async with TestServer(app) as server:
        monkeypatch.setenv(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI", str(server.make_url("/v1/credentials"))
        )
        monkeypatch.setenv(
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "eks-pod-identity-token")
        )
        yield made


async def test_a_pod_signs_as_its_role(agent: Agent) -> None:
    tokens = MskIamTokens(REGION)
    for _ in range(3):
        checked(await tokens.token(), key=f"{KEY}1", secret=f"{SECRET}1")
    assert agent.asked == 1


async def test_expired_credentials_are_renewed(agent: Agent) -> None:
    tokens = MskIamTokens(REGION)
    # botocore renews those that have ten minutes left, or less.
    agent.lifetime = timedelta(minutes=9)
    await tokens.token()
    before, agent.lifetime = agent.asked, timedelta(hours=6)
    for _ in range(2):
        checked(await tokens.token(), key=f"{KEY}{before + 1}", secret=f"{SECRET}{before + 1}")


async def test_an_agent_without_credentials_is_reported_and_asked_again(agent: Agent) -> None:
    tokens = MskIamTokens(REGION)
    agent.status = 404
    with pytest.raises(CredentialsError) as caught:
        await tokens.token()
    message = str(caught.value)
    assert message.startswith("kafka.aws_region: AWS provides no credentials: ")
    assert "Pod Identity agent" in message
    assert AUTHORIZATION not in message
    agent.status = 200
    opened(await tokens.token())


ROLE = "arn:aws:iam::123456789012:role/sluice-gateway"
ASSUMED = f"""
<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>
<SessionToken>{SESSION}</SessionToken><Expiration>2126-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
DENIED = """
<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>Not authorized to assume it</Message></Error></ErrorResponse>"""


@pytest.mark.parametrize("lets", [True, False])
async def test_a_pod_with_irsa_asks_sts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, lets: bool
) -> None:
    async def answer(request: web.Request) -> web.Response:
        """Respond like STS."""
        asked = await request.post()
        assert (asked["RoleArn"], asked["WebIdentityToken"]) == (ROLE, AUTHORIZATION)
        return web.Response(text=ASSUMED if lets else DENIED, status=200 if lets else 403)

    app = web.Application()
    app.router.add_post("/", answer)
    token = tmp_path / "web-identity-token"
    token.write_text(AUTHORIZATION)
    async with TestServer(app) as server:
        for name, value in {
            "AWS_ENDPOINT_URL_STS": str(server.make_url("")),
            "AWS_REGION": REGION,
            "AWS_ROLE_ARN": ROLE,
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        }.items():
            monkeypatch.setenv(name, value)
        if lets:
            checked(await MskIamTokens(REGION).token())
            return
        with pytest.raises(CredentialsError, match=r"AccessDenied.*Not authorized") as caught:
            await MskIamTokens(REGION).token()
    assert AUTHORIZATION not in str(caught.value)


async def test_missing_credentials_are_explained() -> None:
    with pytest.raises(CredentialsError) as caught:
        await MskIamTokens(REGION).token()
    assert str(caught.value) == (
        "kafka.aws_region: this process has no AWS credentials. Give the pod's ServiceAccount a "
        "role by EKS Pod Identity or IRSA, and recreate the pod."
    )


@pytest.mark.usefixtures("keys")
def test_missing_botocore_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(
        CredentialsError, match=r"needs botocore, .*: install sluice-runtime\[msk\]"
    ):
        MskIamTokens(REGION)


def test_only_msk_loads_botocore() -> None:
    """botocore costs time and memory, and `make run` does not have it."""
    program = (
        "import sys, sluice_runtime.kafka.settings as s\n"
        "s.connection(s.KafkaSettings(), client_id='me')\n"
        "print('botocore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout.split() == [b"False"]

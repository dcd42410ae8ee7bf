"""Tokens for Amazon MSK with IAM: a request to connect, signed by the pod's AWS identity.

The signed URL, in base64url, is the token; the brokers ask IAM whether its signer may connect. The
format is that of AWS' own signers: https://github.com/aws/aws-msk-iam-sasl-signer-python. That
package is not used because it needs boto3.
"""

import asyncio
import base64
from typing import Any

from aiokafka.abc import AbstractTokenProvider

from sluice_runtime.kafka.errors import CredentialsError

__all__ = ["MskIamTokens"]

_SECONDS = 900
_USER_AGENT = "sluice"


class MskIamTokens(AbstractTokenProvider):  # type: ignore[misc] # aiokafka is untyped
    """Signed tokens for the brokers of a region.

    Raises:
        CredentialsError: botocore is not installed.
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self._session = _session()

    async def token(self) -> str:
        """Return a new token; botocore finds, caches and renews the credentials.

        Raises:
            CredentialsError: there are no credentials.
        """
        # botocore may call an agent or AWS, and block until the answer.
        return await asyncio.to_thread(self._sign)

    def _sign(self) -> str:
        from botocore.auth import SigV4QueryAuth  # noqa: PLC0415 - see _session
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        request = AWSRequest(
            method="GET",
            url=f"https://kafka.{self._region}.amazonaws.com/",
            params={"Action": "kafka-cluster:Connect"},
        )
        SigV4QueryAuth(
            self._credentials(), "kafka-cluster", self._region, expires=_SECONDS
        ).add_auth(request)
        # Brokers log the user agent; the signature does not cover it.
        address = f"{request.url}&User-Agent={_USER_AGENT}"
        return base64.urlsafe_b64encode(address.encode()).rstrip(b"=").decode()

    def _credentials(self) -> Any:  # noqa: ANN401 - botocore is untyped
        try:
            credentials = self._session.get_credentials()
            frozen = credentials and credentials.get_frozen_credentials()
        except Exception as e:  # botocore's errors have no common base class
            raise CredentialsError(
                f"kafka.aws_region: AWS provides no credentials: {e}. Check that the Pod Identity "
                "agent, or STS, is reachable and lets this pod assume its role."
            ) from e
        if not frozen:
            raise CredentialsError(
                "kafka.aws_region: this process has no AWS credentials. Give the pod's "
                "ServiceAccount a role by EKS Pod Identity or IRSA, and recreate the pod."
            )
        return frozen


def _session() -> Any:  # noqa: ANN401 - botocore is untyped
    # botocore is large and optional; only MSK needs it, so only MSK loads it.
    try:
        import botocore.session  # noqa: PLC0415
    except ImportError as e:
        raise CredentialsError(
            "kafka.aws_region needs botocore, which is not installed: install "
            "sluice-runtime[msk], or use the images, which include it."
        ) from e
    return botocore.session.Session()

"""Tokens for Amazon MSK with IAM: a request to connect, signed by the pod's own AWS identity.

The signed address, in base64url, is the token; the brokers ask IAM whether its signer may connect.
As AWS' own signers make it: https://github.com/aws/aws-msk-iam-sasl-signer-python
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
    """Signs tokens for the brokers of a region.

    Raises:
        CredentialsError: botocore is not installed.
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self._session = _session()

    async def token(self) -> str:
        """Sign a token, with credentials that botocore finds, keeps and renews.

        Raises:
            CredentialsError: there are no credentials.
        """
        # It may ask an agent or AWS, and wait for the answer.
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
        # Brokers log who asks; the signature does not cover it.
        address = f"{request.url}&User-Agent={_USER_AGENT}"
        return base64.urlsafe_b64encode(address.encode()).rstrip(b"=").decode()

    def _credentials(self) -> Any:  # noqa: ANN401 - botocore is untyped
        try:
            credentials = self._session.get_credentials()
            frozen = credentials and credentials.get_frozen_credentials()
        except Exception as e:  # botocore's errors have no common ground
            raise CredentialsError(
                f"kafka.aws_region: AWS gives no credentials now: {e}. See that the Pod Identity "
                "agent, or STS, can be reached and lets this pod be its role."
            ) from e
        if not frozen:
            raise CredentialsError(
                "kafka.aws_region: there are no AWS credentials here. Give the pod's account a "
                "role by EKS Pod Identity or IRSA and make the pod anew."
            )
        return frozen


def _session() -> Any:  # noqa: ANN401 - botocore is untyped
    # Large, and for MSK alone: not everybody has it, and nobody else loads it.
    try:
        import botocore.session  # noqa: PLC0415
    except ImportError as e:
        raise CredentialsError(
            "kafka.aws_region needs botocore, which is not here: install sluice-runtime[msk], or "
            "use the images, which have it."
        ) from e
    return botocore.session.Session()

"""Tokens for Amazon MSK with IAM: a request to connect, signed by the pod's AWS identity.

The signed URL, in base64url, is the token; the brokers ask IAM whether its signer may connect. The
format is that of AWS' own signers: https://github.com/aws/aws-msk-iam-sasl-signer-python. That
package is not used because it needs boto3.
"""

import asyncio
import base64

from aiokafka.abc import AbstractTokenProvider

from sluice_runtime.aws import AwsSigner

__all__ = ["MskIamTokens"]

_USER_AGENT = "sluice"


class MskIamTokens(AbstractTokenProvider):  # type: ignore[misc] # aiokafka is untyped
    """Signed tokens for the brokers of a region.

    Raises:
        CredentialsError: botocore is not installed.
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self._signer = AwsSigner(region, setting="kafka.aws_region")

    async def token(self) -> str:
        """Return a new token.

        Raises:
            CredentialsError: there are no credentials.
        """
        return await asyncio.to_thread(self._sign)

    def _sign(self) -> str:
        signed = self._signer.sign(
            f"https://kafka.{self._region}.amazonaws.com/",
            parameters={"Action": "kafka-cluster:Connect"},
            service="kafka-cluster",
        )
        # Brokers log the user agent; the signature does not cover it.
        address = f"{signed}&User-Agent={_USER_AGENT}"
        return base64.urlsafe_b64encode(address.encode()).rstrip(b"=").decode()

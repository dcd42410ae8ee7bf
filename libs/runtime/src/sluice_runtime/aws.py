"""Requests signed by the AWS identity of the process, as tokens for MSK and RDS.

The identity comes from EKS Pod Identity, IRSA, or wherever else botocore looks for it.
"""

from typing import Any

from sluice_runtime.kafka.errors import CredentialsError

__all__ = ["AwsSigner"]

_SECONDS = 900


class AwsSigner:
    """Signs requests for a region; `setting` is named in errors.

    Raises:
        CredentialsError: botocore is not installed.
    """

    def __init__(self, region: str, *, setting: str) -> None:
        self._region = region
        self._setting = setting
        self._session = _session(setting)

    def sign(self, url: str, *, parameters: dict[str, str], service: str) -> str:
        """Return the signed URL of a GET request, which is valid for 15 minutes.

        botocore finds, caches and renews the credentials. It may call an agent or AWS, and block
        until the answer.

        Raises:
            CredentialsError: there are no credentials.
        """
        from botocore.auth import SigV4QueryAuth  # noqa: PLC0415 - see _session
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        request = AWSRequest(method="GET", url=url, params=parameters)
        SigV4QueryAuth(self._credentials(), service, self._region, expires=_SECONDS).add_auth(
            request
        )
        return str(request.url)

    def _credentials(self) -> Any:  # noqa: ANN401 - botocore is untyped
        try:
            credentials = self._session.get_credentials()
            frozen = credentials and credentials.get_frozen_credentials()
        except Exception as e:  # botocore's errors have no common base class
            raise CredentialsError(
                f"{self._setting}: AWS provides no credentials: {e}. Check that the Pod Identity "
                "agent, or STS, is reachable and lets this pod assume its role."
            ) from e
        if not frozen:
            raise CredentialsError(
                f"{self._setting}: this process has no AWS credentials. Give the pod's "
                "ServiceAccount a role by EKS Pod Identity or IRSA, and recreate the pod."
            )
        return frozen


def _session(setting: str) -> Any:  # noqa: ANN401 - botocore is untyped
    # botocore is large and optional; only AWS needs it, so only there it is loaded.
    try:
        import botocore.session  # noqa: PLC0415
    except ImportError as e:
        raise CredentialsError(
            f"{setting} needs botocore, which is not installed: install "
            "sluice-runtime[msk], or use the images, which include it."
        ) from e
    return botocore.session.Session()

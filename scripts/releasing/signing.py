"""Who has signed an image, asked by cosign."""

import subprocess
from dataclasses import dataclass

from scripts.releasing.repository import ReleaseError

__all__ = ["Cosign"]

ISSUER = "https://token.actions.githubusercontent.com"
"""Issues the identities of GitHub's workflows."""


@dataclass(frozen=True)
class Cosign:
    """The cosign program.

    ``signer``: the workflow that signs, as `https://github.com/OWNER/REPOSITORY/PATH@REF`.
    """

    signer: str

    def verify(self, image: str) -> None:
        """Return if the signer has signed an image, named by its digest.

        Raises:
            ReleaseError: nobody has, or somebody else; or there is no cosign.
        """
        who = (f"--certificate-identity={self.signer}", f"--certificate-oidc-issuer={ISSUER}")
        try:
            done = subprocess.run(  # noqa: S603 (commands are ours)
                ["cosign", "verify", *who, image],  # noqa: S607 (the cosign of the caller)
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise ReleaseError(
                "there is no cosign here to verify signatures with; install it, or leave out "
                "--signed-by"
            ) from None
        if done.returncode != 0:
            raise ReleaseError(f"{image} is not signed by {self.signer}:\n{done.stderr.strip()}")

"""The cluster's certificate authority, and kubeconfigs for its users."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from testbed.building.commands import run
from testbed.machine import addresses

_DAYS = "30"
_WAY_OUT = "Install openssl (Debian: apt install openssl)."


@dataclass(frozen=True)
class Authority:
    """A certificate authority whose files lie in ``folder``."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The certificate that clients and servers trust."""
        return self.folder / "ca.crt"

    def key_of(self, name: str) -> Path:
        """Return where a name's private key is."""
        return self.folder / f"{name}.key"

    def certificate_of(self, name: str) -> Path:
        """Return where a name's certificate is."""
        return self.folder / f"{name}.crt"

    def create(self) -> None:
        """Make the authority itself, and the key that ServiceAccount tokens are signed with.

        It has no key identifiers and no key usage, like that of an EKS cluster.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._make_key("ca")
        self._make_key("service-accounts")
        _openssl(
            *("req", "-x509", "-new", "-key", self.key_of("ca"), "-days", _DAYS),
            *("-subj", "/CN=sluice-testbed", "-out", self.certificate),
        )

    def issue(self, name: str, *, user: str, group: str = "", hosts: str = "") -> None:
        """Issue a certificate; ``hosts`` as in subjectAltName, for servers."""
        self._make_key(name)
        subject = (f"/O={group}" if group else "") + f"/CN={user}"
        request = self.folder / f"{name}.csr"
        _openssl("req", "-new", "-key", self.key_of(name), "-subj", subject, "-out", request)
        extensions = self.folder / f"{name}.ext"
        usage = "serverAuth,clientAuth" if hosts else "clientAuth"
        lines = [f"extendedKeyUsage={usage}", *([f"subjectAltName={hosts}"] if hosts else [])]
        extensions.write_text("\n".join(lines), "ascii")
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key_of("ca")),
            *("-CAcreateserial", "-days", _DAYS, "-extfile", extensions),
            *("-out", self.certificate_of(name)),
        )

    def _make_key(self, name: str) -> None:
        # RSA: every version of the token signer supports it.
        _openssl("genrsa", "-out", self.key_of(name), "2048")


def certificate_kubeconfig(authority: Authority, name: str) -> str:
    """Return a kubeconfig that connects with a certificate."""
    return _kubeconfig(
        authority,
        {
            "client-certificate-data": _base64(authority.certificate_of(name)),
            "client-key-data": _base64(authority.key_of(name)),
        },
    )


def token_kubeconfig(authority: Authority, token: str) -> str:
    """Return a kubeconfig that connects with a ServiceAccount's token."""
    return _kubeconfig(authority, {"token": token})


def _kubeconfig(authority: Authority, user: dict[str, str]) -> str:
    # JSON is YAML.
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "testbed",
                    "cluster": {
                        "server": addresses.API_URL,
                        "certificate-authority-data": _base64(authority.certificate),
                    },
                }
            ],
            "users": [{"name": "testbed", "user": user}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": "testbed"}}],
            "current-context": "testbed",
        },
        indent=1,
    )


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode("ascii")


def _openssl(*arguments: str | Path) -> None:
    run(["openssl", *arguments], way_out=_WAY_OUT)

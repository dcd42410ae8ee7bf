"""Clients of the API server: a kubeconfig for each user and for each service's account."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.cluster.certificates import Authority, certificate_kubeconfig, token_kubeconfig
from testbed.cluster.control_plane import API_HOSTS
from testbed.cluster.node import NODE_NAME

ADMIN = "admin"
NODE_USER = f"system:node:{NODE_NAME}"
_MASTERS = "system:masters"
_GROUPS: Mapping[str, str] = {
    ADMIN: _MASTERS,
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "system:kube-proxy": "",
    NODE_USER: "system:nodes",
}


@dataclass(frozen=True)
class Users:
    """The users of one cluster; ``kubeconfigs`` is a folder with a file for each."""

    authority: Authority
    kubeconfigs: Path

    def create(self) -> None:
        """Make the certificates of the cluster and of its users, and their kubeconfigs."""
        self.authority.create()
        self.authority.issue(
            "kube-apiserver", user="kube-apiserver", group=_MASTERS, hosts=API_HOSTS
        )
        self.kubeconfigs.mkdir(parents=True, mode=0o700)
        for user, group in _GROUPS.items():
            self.authority.issue(user, user=user, group=group)
            self._write(user, certificate_kubeconfig(self.authority, user))

    def add_account(self, account: str, *, token: str) -> None:
        """Make the kubeconfig of a ServiceAccount, for a service that runs outside the cluster."""
        self._write(account, token_kubeconfig(self.authority, token))

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """Return where a user's kubeconfig is."""
        return self.kubeconfigs / user

    def _write(self, user: str, kubeconfig: str) -> None:
        self.kubeconfig(user).touch(mode=0o600)
        self.kubeconfig(user).write_text(kubeconfig, "utf-8")

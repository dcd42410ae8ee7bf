"""How each program of the cluster is run: its binary, its user, its data."""

from dataclasses import dataclass
from pathlib import Path

from testbed.cluster import argo, control_plane, node
from testbed.cluster.users import NODE_USER, Users
from testbed.machine.processes import Program
from testbed.stock import Stock

_KUBERNETES = "kubernetes"


@dataclass(frozen=True)
class Programs:
    """The programs from ``stock``, run for ``users``, with their data below ``state``."""

    stock: Stock
    users: Users
    state: Path

    @property
    def node_files(self) -> node.NodeFiles:
        """Where the node's configuration is."""
        return node.NodeFiles(self.state / "node")

    @property
    def artifacts(self) -> Path:
        """Where the store of artifacts keeps its buckets."""
        return self.state / "artifacts"

    def control_plane(self) -> list[Program]:
        """Return etcd, the API server, and its controllers, in the order of start."""
        authority = self.users.authority
        return [
            control_plane.etcd(self.stock.program("etcd", "etcd"), data=self.state / "etcd"),
            control_plane.api_server(self._kubernetes("kube-apiserver"), authority),
            control_plane.controller_manager(
                self._kubernetes("kube-controller-manager"),
                authority,
                kubeconfig=self.users.kubeconfig("system:kube-controller-manager"),
            ),
            control_plane.scheduler(
                self._kubernetes("kube-scheduler"),
                kubeconfig=self.users.kubeconfig("system:kube-scheduler"),
            ),
        ]

    def containerd(self) -> Program:
        """Return how containerd is run; the node's files must be there."""
        return node.containerd(self.node_files)

    def kubelet(self) -> Program:
        """Return how the kubelet is run."""
        return node.kubelet(
            self._kubernetes("kubelet"),
            self.node_files,
            kubeconfig=self.users.kubeconfig(NODE_USER),
        )

    def network(self) -> list[Program]:
        """Return kube-proxy and CoreDNS."""
        return [
            node.proxy(
                self._kubernetes("kube-proxy"),
                kubeconfig=self.users.kubeconfig("system:kube-proxy"),
            ),
            node.coredns(self.stock.program("coredns", "coredns"), self.node_files),
        ]

    def store(self) -> Program:
        """Return how the store of artifacts is run."""
        return argo.store(self.stock.program("versitygw", "versitygw"), data=self.artifacts)

    def argo_controller(self, line: str) -> Program:
        """Return how the controller of a line of Argo is run."""
        return argo.controller(
            self.stock.program(f"argo-{line}", "workflow-controller"),
            line=line,
            kubeconfig=self.users.kubeconfig(),
        )

    def _kubernetes(self, program: str) -> Path:
        return self.stock.program(_KUBERNETES, program)

"""The one node: containerd, the kubelet, kube-proxy and CoreDNS, with their configuration."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.machine.addresses import CLUSTER, NODE, PODS
from testbed.machine.processes import Program

NODE_NAME = "testbed"
PAUSE_IMAGE = "localhost/pause:1"
CNI_PLUGINS = Path("/usr/lib/cni")
# The machine has a /run of its own.
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")

_CONTAINERD = """\
version = 2
root = {root}
state = "/run/containerd"

[grpc]
address = {socket}

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {pause}
# Only CAP_SYS_RESOURCE may lower it; without that, runc fails with an unclear message.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {cni_plugins}
conf_dir = {cni}
"""

_COREFILE = """\
cluster.local in-addr.arpa {{
    bind {node}
    errors
    kubernetes {{
        kubeconfig {kubeconfig}
    }}
}}
. {{
    bind {node}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


@dataclass(frozen=True)
class NodeFiles:
    """Paths of the node's configuration and data."""

    folder: Path

    @property
    def containerd(self) -> Path:
        """Containerd's configuration."""
        return self.folder / "containerd.toml"

    @property
    def kubelet(self) -> Path:
        """The kubelet's configuration."""
        return self.folder / "kubelet.json"

    @property
    def corefile(self) -> Path:
        """CoreDNS's configuration."""
        return self.folder / "Corefile"

    @property
    def cni(self) -> Path:
        """The folder of the pods' network."""
        return self.folder / "cni"

    def write(self, *, authority_certificate: Path, dns_kubeconfig: Path) -> None:
        """Write all configuration."""
        self.cni.mkdir(parents=True, exist_ok=True)
        resolv = self.folder / "resolv.conf"
        resolv.write_text(f"nameserver {NODE}\n", "ascii")
        self.containerd.write_text(
            _CONTAINERD.format(
                root=json.dumps(str(self.folder / "containerd")),
                socket=json.dumps(str(CONTAINERD_SOCKET)),
                pause=json.dumps(PAUSE_IMAGE),
                cni_plugins=json.dumps(str(CNI_PLUGINS)),
                cni=json.dumps(str(self.cni)),
            ),
            "utf-8",
        )
        network = _pod_network(self.folder / "addresses")
        (self.cni / "10-pods.conflist").write_text(json.dumps(network, indent=1), "utf-8")
        kubelet = _kubelet(
            authority_certificate=authority_certificate,
            resolv=resolv,
            pod_logs=self.folder / "pod-logs",
        )
        self.kubelet.write_text(json.dumps(kubelet, indent=1), "utf-8")
        self.corefile.write_text(_COREFILE.format(node=NODE, kubeconfig=dns_kubeconfig), "utf-8")


def containerd(files: NodeFiles) -> Program:
    """Return how containerd is run."""
    return Program(name="containerd", command=["containerd", "--config", files.containerd])


def kubelet(program: Path, files: NodeFiles, *, kubeconfig: Path) -> Program:
    """Return how the kubelet is run."""
    return Program(
        name="kubelet",
        command=[
            program,
            f"--config={files.kubelet}",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={files.folder / 'kubelet'}",
            f"--cert-dir={files.folder / 'kubelet-pki'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={NODE}",
        ],
    )


def proxy(program: Path, *, kubeconfig: Path) -> Program:
    """Return how kube-proxy is run, without its limits on the whole computer's connections."""
    return Program(
        name="kube-proxy",
        command=[
            program,
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={NODE_NAME}",
            "--proxy-mode=iptables",
            f"--cluster-cidr={PODS}",
            *("--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0"),
            *("--conntrack-tcp-timeout-close-wait=0", "--conntrack-udp-timeout=0"),
            "--conntrack-udp-timeout-stream=0",
        ],
    )


def coredns(program: Path, files: NodeFiles) -> Program:
    """Return how CoreDNS is run: on the node, which pods ask."""
    return Program(name="coredns", command=[program, "-conf", files.corefile])


def _pod_network(leases: Path) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": PODS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(leases),
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, portmap]}


def _kubelet(*, authority_certificate: Path, resolv: Path, pod_logs: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority_certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CLUSTER.name}",
        "clusterDNS": [NODE],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "enforceNodeAllocatable": [],
        # Do not evict pods because other programs fill the disk.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "failCgroupV1": False,
        "failSwapOn": False,
        # Removed images could not be pulled again: there is no registry.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "localStorageCapacityIsolation": False,
        "maxPods": 250,
        "podLogsDir": str(pod_logs),
        "resolvConf": str(resolv),
    }

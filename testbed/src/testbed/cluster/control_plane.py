"""etcd, the API server, the controller-manager and the scheduler: their command lines."""

from pathlib import Path

from testbed.cluster.certificates import Authority
from testbed.machine.addresses import (
    API_PORT,
    API_SERVICE,
    ETCD_PORT,
    ETCD_URL,
    NODE,
    PODS,
    SERVICES,
)
from testbed.machine.processes import Program

API_HOSTS = ",".join(
    [
        f"IP:{NODE}",
        f"IP:{API_SERVICE}",
        "IP:127.0.0.1",
        *("DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc"),
    ]
)


def etcd(program: Path, *, data: Path) -> Program:
    """Return how etcd is run."""
    peers = f"http://127.0.0.1:{ETCD_PORT + 1}"
    return Program(
        name="etcd",
        command=[
            program,
            *("--name=testbed", f"--data-dir={data}", "--unsafe-no-fsync"),
            *(f"--listen-client-urls={ETCD_URL}", f"--advertise-client-urls={ETCD_URL}"),
            *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
            f"--initial-cluster=testbed={peers}",
        ],
    )


def api_server(program: Path, authority: Authority) -> Program:
    """Return how the API server is run."""
    service_accounts = authority.key_of("service-accounts")
    return Program(
        name="kube-apiserver",
        command=[
            program,
            f"--etcd-servers={ETCD_URL}",
            *(f"--advertise-address={NODE}", f"--secure-port={API_PORT}"),
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={authority.certificate}",
            f"--tls-cert-file={authority.certificate_of('kube-apiserver')}",
            f"--tls-private-key-file={authority.key_of('kube-apiserver')}",
            f"--kubelet-client-certificate={authority.certificate_of('kube-apiserver')}",
            f"--kubelet-client-key={authority.key_of('kube-apiserver')}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={service_accounts}",
            f"--service-account-signing-key-file={service_accounts}",
        ],
    )


def controller_manager(program: Path, authority: Authority, *, kubeconfig: Path) -> Program:
    """Return how the controller-manager is run."""
    return Program(
        name="kube-controller-manager",
        command=[
            program,
            f"--kubeconfig={kubeconfig}",
            "--leader-elect=false",
            "--use-service-account-credentials",
            f"--root-ca-file={authority.certificate}",
            f"--service-account-private-key-file={authority.key_of('service-accounts')}",
            f"--cluster-cidr={PODS}",
            # Notice a node that returns within the time of a test.
            *("--node-monitor-grace-period=20s", "--node-monitor-period=2s"),
        ],
    )


def scheduler(program: Path, *, kubeconfig: Path) -> Program:
    """Return how the scheduler is run."""
    return Program(
        name="kube-scheduler",
        command=[program, f"--kubeconfig={kubeconfig}", "--leader-elect=false"],
    )

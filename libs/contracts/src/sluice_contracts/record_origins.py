"""Whether a request record is from the tenant that it names."""

from sluice_contracts.ids import DEFAULT_TENANT
from sluice_contracts.problems import Problem, ProblemType, problem
from sluice_contracts.records import IncomingRecord
from sluice_contracts.signatures import KeyRing
from sluice_contracts.topic_sets import TopicSets

__all__ = ["RecordOrigins"]


class RecordOrigins:
    """Decides by topic, and by signature where several tenants share one.

    With `keys`, a record of a tenant that shares the topic with others has to be signed by one of
    the tenant's keys. The exception is the tenant `default` on the default topic. Without `keys`,
    everybody who may write to a shared topic is trusted to name the tenant.
    """

    def __init__(self, topics: TopicSets, *, keys: KeyRing | None = None) -> None:
        self._topics = topics
        self._keys = keys

    @property
    def topics(self) -> TopicSets:
        """The topics of each tenant."""
        return self._topics

    def unnamed_tenant(self, record: IncomingRecord) -> str:
        """Return the tenant of a record that names none."""
        return self._topics.of_topic(record.position.topic).only_tenant or DEFAULT_TENANT

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

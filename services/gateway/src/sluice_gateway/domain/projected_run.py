"""How changes become the state of a run: idempotent, whatever is repeated or late; pure.

The request part of a run belongs to the request record that stands first, the status part to the
event with the highest sequence; neither ever touches the other.
"""

from dataclasses import dataclass

from sluice_contracts.status import Phase
from sluice_gateway.domain.partitions import LogPartition, door_and_number
from sluice_gateway.domain.run_changes import EventChange, NoticeChange, RequestChange

__all__ = ["ProjectedRun"]


@dataclass(kw_only=True, slots=True)
class ProjectedRun:
    """A run without its events, its steps and its parameters.

    `accepted_ms` is the earliest time that a request record or an event states. `first_ms` is when
    the first status record about it was appended, and `events_from_ms` the first event. Facts and
    `notice` are JSON texts, as `Facts.to_json` and `NoticeChange.state`.
    """

    tenant: str
    run_id: str

    request_partition: LogPartition | None = None
    request_offset: int | None = None
    request_workflow: str | None = None
    request_fingerprint: str | None = None
    request_facts: str | None = None
    accepted_ms: int | None = None

    sequence: int = -1
    attempt: int = 1
    phase: str = Phase.ACCEPTED.value
    terminal: bool = False
    status_workflow: str | None = None
    status_fingerprint: str | None = None
    status_facts: str | None = None
    progress: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    status_ms: int | None = None
    status_partition: LogPartition | None = None
    status_offset: int | None = None
    first_ms: int | None = None
    events_from_ms: int | None = None

    notice: str | None = None
    notice_ms: int | None = None
    notice_partition: LogPartition | None = None
    notice_offset: int | None = None

    @property
    def place_ms(self) -> int:
        """When it was accepted, or else when its first record was appended: its place in lists."""
        known = self.accepted_ms if self.accepted_ms is not None else self.first_ms
        return 0 if known is None else known

    @property
    def workflow(self) -> str | None:
        """The workflow; the status has the last word."""
        return self.request_workflow if self.status_workflow is None else self.status_workflow

    @property
    def facts(self) -> str | None:
        """The facts; the status has the last word."""
        return self.request_facts if self.status_facts is None else self.status_facts

    def apply_request(self, change: RequestChange) -> bool:
        """Apply the change; return whether its content is now the run's."""
        self._note_accepted(change.accepted_ms)
        if self._is_behind_request(change):
            return False
        self.request_offset, self.request_partition = change.offset, change.partition
        self.request_workflow = change.workflow
        self.request_fingerprint = change.fingerprint
        self.request_facts = change.facts.to_json()
        return True

    def apply_notice(self, change: NoticeChange) -> None:
        """Apply the change: the newest notice counts."""
        self._note_status(change.appended_ms)
        if self._is_before_notice(change):
            return
        self.notice_ms = change.appended_ms
        self.notice_offset, self.notice_partition = change.offset, change.partition
        self.notice = change.state

    def apply_event(self, change: EventChange) -> bool:
        """Apply the change; return whether the event says something new."""
        if change.sequence <= self.sequence:
            return False
        self._note_status(change.appended_ms)
        if self.events_from_ms is None:
            self.events_from_ms = change.appended_ms
        if change.accepted_ms is not None:
            self._note_accepted(change.accepted_ms)
        self.sequence = change.sequence
        self.attempt = change.attempt
        self.phase = change.phase
        self.terminal = change.terminal
        self.status_workflow = change.workflow
        self.status_fingerprint = change.fingerprint or self.status_fingerprint
        if change.facts is not None:
            self.status_facts = change.facts.to_json()
        self.progress = change.progress
        self.started_at = change.started_at
        self.finished_at = change.finished_at
        self.status_ms = change.appended_ms
        self.status_partition = change.partition
        self.status_offset = change.offset
        return True

    def _is_behind_request(self, change: RequestChange) -> bool:
        if self.request_offset is None or self.request_partition is None:
            return False
        known = (self.request_offset, door_and_number(self.request_partition))
        return (change.offset, door_and_number(change.partition)) > known

    def _is_before_notice(self, change: NoticeChange) -> bool:
        if self.notice_ms is None or self.notice_partition is None:
            return False
        known = (self.notice_ms, self.notice_offset or 0, door_and_number(self.notice_partition))
        given = (change.appended_ms, change.offset, door_and_number(change.partition))
        return given < known

    def _note_accepted(self, accepted_ms: int) -> None:
        if self.accepted_ms is None or accepted_ms < self.accepted_ms:
            self.accepted_ms = accepted_ms

    def _note_status(self, appended_ms: int) -> None:
        if self.first_ms is None or appended_ms < self.first_ms:
            self.first_ms = appended_ms

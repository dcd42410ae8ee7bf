"""The spec of a Lease after a renewal or a release."""

from datetime import UTC, datetime, timedelta

from sluice_status_watcher.domain.lease_spec import holder_of, released, renewed

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(seconds=3)
LENGTH = timedelta(seconds=15)


def test_first_holder_sets_all_fields() -> None:
    assert renewed("ada", now=NOW, duration=LENGTH) == {
        "holderIdentity": "ada",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-02T03:04:05.000000Z",
        "renewTime": "2026-01-02T03:04:05.000000Z",
        "leaseTransitions": 0,
    }


def test_renewal_changes_the_time_only() -> None:
    first = renewed("ada", now=NOW, duration=LENGTH)
    again = renewed("ada", now=LATER, duration=LENGTH, before={"spec": first})
    assert again == {**first, "renewTime": "2026-01-02T03:04:08.000000Z"}


def test_new_holder_counts_a_transition() -> None:
    first = renewed("ada", now=NOW, duration=LENGTH)
    free = released({"spec": first})
    assert holder_of({"spec": free}) is None
    next_one = renewed("bob", now=LATER, duration=LENGTH, before={"spec": free})
    assert next_one["leaseTransitions"] == 1
    assert next_one["acquireTime"] == next_one["renewTime"] == "2026-01-02T03:04:08.000000Z"


def test_fields_of_others_stay() -> None:
    before = {"spec": {"preferredHolder": "eve"}}
    assert renewed("ada", now=NOW, duration=LENGTH, before=before)["preferredHolder"] == "eve"


def test_lease_without_a_spec_has_no_holder() -> None:
    assert holder_of({"metadata": {}}) is None
    assert holder_of({"spec": None}) is None
    assert holder_of({"spec": {"holderIdentity": ""}}) is None


def test_duration_is_at_least_one_whole_second() -> None:
    short = renewed("ada", now=NOW, duration=timedelta(milliseconds=300))
    assert short["leaseDurationSeconds"] == 1

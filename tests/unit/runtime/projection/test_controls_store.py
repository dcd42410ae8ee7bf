"""What is paused, as the controls topic says."""

from sluice_contracts.controls import ControlTarget
from sluice_contracts.records import IncomingRecord, Position
from sluice_runtime.projection.controls_store import ControlsStore

ACME = ControlTarget("tenant", "acme")
HELLO = ControlTarget("workflow", "hello")


def record(offset: int, key: bytes, value: bytes | None) -> IncomingRecord:
    return IncomingRecord(
        position=Position("sluice.controls", 0, offset), timestamp_ms=0, key=key, value=value
    )


async def apply(store: ControlsStore, records: list[IncomingRecord]) -> None:
    await (await store.prepare(records))()


async def test_the_last_record_of_each_target_counts() -> None:
    store = ControlsStore()
    before = store.states
    await apply(
        store,
        [
            record(0, b"tenant/acme", b'{"state": "paused"}'),
            record(1, b"workflow/hello", b'{"state": "paused"}'),
            record(2, b"tenant/acme", b'{"state": "draining"}'),
        ],
    )
    assert store.states is not before
    assert {target: each.state for target, each in store.states.items()} == {
        ACME: "draining",
        HELLO: "paused",
    }
    await apply(store, [record(3, b"workflow/hello", None)])
    assert set(store.states) == {ACME}
    assert await store.offsets() == {("sluice.controls", 0): 4}


async def test_what_cannot_be_read_pauses_its_target_until_a_valid_record() -> None:
    """Each dispatcher decides alike, whether it has seen the record before or not."""
    store = ControlsStore()
    await apply(store, [record(0, b"tenant/acme", b"stop!"), record(1, b"everything", b"{}")])
    assert store.states[ACME].stops_starts
    assert store.invalid == {ACME}
    await apply(store, [record(2, b"tenant/acme", b'{"state": "running"}')])
    assert not store.states[ACME].stops_starts
    assert store.invalid == frozenset()


async def test_a_topic_that_was_made_again_pauses_nothing() -> None:
    store = ControlsStore()
    await apply(store, [record(0, b"tenant/acme", b'{"state": "paused"}')])
    await store.forget()
    assert store.states == {}
    assert await store.offsets() == {}

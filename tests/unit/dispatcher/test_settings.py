"""The dispatcher's settings, and what they lead to."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.request_codec import ReceivedRun
from sluice_contracts.requests import RunRequest
from sluice_contracts.topic_sets import Door
from sluice_contracts.tracing import continue_trace
from sluice_dispatcher.bootstrap import load_builder
from sluice_dispatcher.domain.workflow_builder import controller_of
from sluice_dispatcher.settings import DispatcherSettings, DispatchSettings, WorkflowSettings
from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.service import StartupError


def test_the_defaults_fit_together() -> None:
    assert DispatcherSettings().dedupe.ledger_freshness == timedelta(seconds=5)


def test_a_ledger_slower_than_the_ttl_is_refused() -> None:
    with pytest.raises(ValidationError, match="at most half"):
        DispatcherSettings(
            dedupe=DedupeSettings(ledger_freshness=timedelta(seconds=5)),
            workflows=WorkflowSettings(ttl=timedelta(seconds=9)),
        )


def test_the_dispatchers_of_a_cluster_have_a_group_of_their_own() -> None:
    kafka = KafkaSettings(doors=(Door(name="globex", tenants=("globex",), cluster="west"),))
    west = DispatcherSettings(kafka=kafka, dispatch=DispatchSettings(cluster="west"))
    assert west.dispatch.consumer_group == "sluice-dispatcher.west"
    assert DispatcherSettings(kafka=kafka).dispatch.consumer_group == "sluice-dispatcher"


def test_a_cluster_without_a_door_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"no door of kafka\.doors has the cluster 'west'"):
        DispatcherSettings(dispatch=DispatchSettings(cluster="west"))


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True), st.uuids())
def test_a_workflow_has_the_same_controller_at_each_build(ids: list[str], name: UUID) -> None:
    chosen = controller_of(f"run-{name.hex}", ids)
    assert chosen in ids
    assert controller_of(f"run-{name.hex}", tuple(ids)) == chosen
    assert controller_of(f"run-{name.hex}", ()) is None


def test_a_workflow_is_labelled_for_its_controller() -> None:
    ids = ("a", "b")
    builder = load_builder(DispatcherSettings(workflows=WorkflowSettings(instance_ids=ids)))
    key = RunKey("acme", "order-4711")
    request = RunRequest(workflow="hello", parameters={"name": "Ada"}, id=key.run_id)
    record = IncomingRecord(position=Position("r", 0, 0), timestamp_ms=0, key=None, value=None)
    received = ReceivedRun(key=key, request=request, traceparent=continue_trace(None))
    labels = builder.build(received, record=record)["metadata"]["labels"]
    label = labels["workflows.argoproj.io/controller-instanceid"]
    assert label == controller_of(workflow_name(key), ids)
    plain = load_builder(DispatcherSettings()).build(received, record=record)
    assert set(labels) - set(plain["metadata"]["labels"]) == {
        "workflows.argoproj.io/controller-instanceid"
    }


def test_controllers_share_the_workflows_equally() -> None:
    names = [workflow_name(RunKey("acme", f"order-{number}")) for number in range(3000)]
    shares = Counter(controller_of(name, ("a", "b", "c")) for name in names)
    assert all(850 < share < 1150 for share in shares.values())


def test_an_invalid_catalogue_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text("entries: [{name: hello}]")
    settings = DispatcherSettings(workflows=WorkflowSettings(catalogue_file=file))
    with pytest.raises(StartupError, match=r"The catalogue cannot be used: .*catalogue\.yaml"):
        load_builder(settings)

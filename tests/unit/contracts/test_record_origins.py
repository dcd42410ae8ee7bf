"""A record is from the tenant of its topic, or signed by the tenant, or it touches nobody."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, SecretStr, ValidationError

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import Headers, IncomingRecord, OutgoingRecord, Position
from sluice_contracts.request_codec import (
    InvalidRecordError,
    ReceivedCommand,
    ReceivedRun,
    decode_request,
)
from sluice_contracts.requests import COMMANDS
from sluice_contracts.signatures import KeyRing, SigningKey, new_secret
from sluice_contracts.topic_sets import Door, TopicSets

SETS = TopicSets(
    doors=[Door(name="acme", tenants=("acme",)), Door(name="two", tenants=("globex", "initech"))]
)
TENANTS = ("default", "acme", "globex", "initech", "other")
TOPICS = SETS.requests
NOW_MS = 1_790_000_000_000
HELLO: dict[str, JsonValue] = {"id": "a", "workflow": "hello"}


def signing_key(tenant: str) -> SigningKey:
    return SigningKey(tenant=tenant, secret=SecretStr(new_secret()))


OTHER = signing_key("other")
RING = KeyRing.of([OTHER, signing_key("globex"), signing_key("*")])


def record(
    document: JsonValue | bytes,
    *,
    topic: str = "sluice.requests",
    key: bytes | None = None,
    headers: Headers = (),
    offset: int = 1,
) -> IncomingRecord:
    value = document if isinstance(document, bytes) else json.dumps(document).encode()
    return IncomingRecord(
        position=Position(topic, 0, offset),
        timestamp_ms=NOW_MS,
        key=key,
        value=value,
        headers=headers,
    )


def signed(
    incoming: IncomingRecord, *, by: KeyRing = RING, tenant: str = "other", at_ms: int = NOW_MS
) -> IncomingRecord:
    """Return the record as a producer would have signed it."""
    plain = OutgoingRecord(key=incoming.key, value=incoming.value, headers=incoming.headers)
    return replace(incoming, headers=by.sign(plain, tenant=tenant, seconds=at_ms // 1000).headers)


def key_of(incoming: IncomingRecord, *, keys: KeyRing | None = None) -> RunKey:
    return decode_request(incoming, origins=RecordOrigins(SETS, keys=keys)).key


def refused(incoming: IncomingRecord, *, keys: KeyRing | None = None) -> InvalidRecordError:
    with pytest.raises(InvalidRecordError) as caught:
        decode_request(incoming, origins=RecordOrigins(SETS, keys=keys))
    return caught.value


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("tenant", TENANTS)
def test_each_tenant_is_heard_on_its_own_topic_alone(topic: str, tenant: str) -> None:
    documents: list[JsonValue] = [
        HELLO | {"tenant": tenant},
        {"type": "stop", "id": "a", "tenant": tenant},
    ]
    for document in documents:
        incoming = record(document, topic=topic)
        if topic == SETS.of_tenant(tenant).topics.requests:
            assert key_of(incoming) == RunKey(tenant, "a")
            continue
        error = refused(incoming)
        assert error.problem.type is ProblemType.FOREIGN_TENANT
        assert (error.key, error.claimed) == (None, RunKey(tenant, "a"))
        assert topic in error.problem.detail


def test_a_record_without_a_tenant_is_from_the_only_one_of_its_topic() -> None:
    assert key_of(record(HELLO)) == RunKey("default", "a")
    assert key_of(record(HELLO, topic="sluice.requests.acme")) == RunKey("acme", "a")
    received = decode_request(
        record({"type": "stop", "id": "a"}, topic="sluice.requests.acme"),
        origins=RecordOrigins(SETS),
    )
    assert isinstance(received, ReceivedCommand)
    assert received.command.tenant == "acme"


def test_a_record_without_a_tenant_is_refused_where_there_are_several() -> None:
    error = refused(record(HELLO, topic="sluice.requests.two"))
    assert error.problem.type is ProblemType.FOREIGN_TENANT
    assert "tenant 'default' do not belong on sluice.requests.two" in error.problem.detail


DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(("run", *COMMANDS, "other")),
        "id": st.sampled_from(("a", "b", "", 7, None)),
        "tenant": st.sampled_from((*TENANTS, "No", None, 3)),
        "workflow": st.sampled_from(("hello", "", None)),
        "parent": st.sampled_from(("a", None)),
        "unknown": st.integers(),
    },
)


@given(DOCUMENTS, st.sampled_from(TOPICS), st.booleans(), st.sampled_from((None, b"k", b"acme/a")))
def test_whatever_a_record_says_it_touches_no_run_of_another_topic_s_tenant(
    document: dict[str, JsonValue], topic: str, doubled: bool, key: bytes | None
) -> None:
    value = json.dumps(document)
    if doubled:
        # A member that is given twice: only what is given once is read.
        value = f'{{"x":1,"x":2,{value[1:]}' if document else '{"x":1,"x":2}'
    origins = RecordOrigins(SETS)
    try:
        touched = decode_request(record(value.encode(), topic=topic, key=key), origins=origins).key
    except InvalidRecordError as e:
        if e.key is None:
            return
        touched = e.key
    assert SETS.may_stand_on(topic, tenant=touched.tenant)


# --- signatures


def test_without_keys_everybody_on_the_shared_topic_is_trusted() -> None:
    assert key_of(record(HELLO | {"tenant": "other"})) == RunKey("other", "a")


def test_with_keys_a_tenant_signs_on_a_shared_topic() -> None:
    other = record(HELLO | {"tenant": "other"}, key=b"k")
    assert key_of(signed(other), keys=RING) == RunKey("other", "a")
    error = refused(other, keys=RING)
    assert error.problem.type is ProblemType.UNSIGNED
    assert (error.key, error.claimed) == (None, RunKey("other", "a"))
    globex = record(HELLO | {"tenant": "globex"}, topic="sluice.requests.two")
    assert refused(globex, keys=RING).problem.type is ProblemType.UNSIGNED
    assert key_of(signed(globex, tenant="globex"), keys=RING) == RunKey("globex", "a")


def test_whom_the_topic_itself_names_need_not_sign() -> None:
    assert key_of(record(HELLO), keys=RING) == RunKey("default", "a")
    assert key_of(record(HELLO, topic="sluice.requests.acme"), keys=RING) == RunKey("acme", "a")


def test_a_command_is_signed_too() -> None:
    stop = record({"type": "stop", "id": "a", "tenant": "other"})
    assert refused(stop, keys=RING).problem.type is ProblemType.UNSIGNED
    assert key_of(signed(stop), keys=RING) == RunKey("other", "a")


def test_a_service_signs_for_every_tenant() -> None:
    ring = KeyRing.of([RING.keys[2]])
    somebody = record(HELLO | {"tenant": "nobody-s-key"})
    assert key_of(signed(somebody, by=ring, tenant="nobody-s-key"), keys=RING).tenant == (
        "nobody-s-key"
    )
    with pytest.raises(LookupError, match="no key to sign with for tenant 'x'"):
        KeyRing.of([OTHER]).sign(OutgoingRecord(key=None, value=b""), tenant="x", seconds=0)


def test_both_keys_of_a_tenant_count_while_it_changes_them() -> None:
    new = signing_key("other")
    incoming = signed(record(HELLO | {"tenant": "other"}), by=KeyRing.of([new]))
    assert refused(incoming, keys=KeyRing.of([OTHER])).problem.type is ProblemType.UNSIGNED
    assert key_of(incoming, keys=KeyRing.of([OTHER, new])).tenant == "other"


def changed(incoming: IncomingRecord, name: str, value: bytes) -> IncomingRecord:
    headers = tuple((each, value if each == name else old) for each, old in incoming.headers)
    return replace(incoming, headers=headers)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda it: replace(it, headers=()), "must be headers of the record"),
        (lambda it: replace(it, headers=it.headers[:2]), "must be headers of the record"),
        (lambda it: replace(it, key=b"other"), "must end with a hyphen and the SHA-256"),
        (lambda it: replace(it, key=None), "must end with a hyphen and the SHA-256"),
        (lambda it: replace(it, value=it.value + b" "), "not by a key of the tenant"),
        (lambda it: changed(it, "webhook-timestamp", b"soon"), "must be whole seconds"),
        (lambda it: changed(it, "webhook-timestamp", b"1790000001"), "not by a key of the tenant"),
        (lambda it: changed(it, "webhook-signature", b"v1,"), "not by a key of the tenant"),
        (lambda it: changed(it, "webhook-signature", "v1,ä".encode()), "not by a key"),
        (lambda it: changed(it, "webhook-signature", b"\xff"), "must be headers of the record"),
    ],
)
def test_a_signature_binds_key_value_and_time(change: object, why: str) -> None:
    assert callable(change)
    incoming = signed(record(HELLO | {"tenant": "other"}, key=b"k"))
    assert why in refused(change(incoming), keys=RING).problem.detail


def test_the_id_of_a_message_is_signed() -> None:
    incoming = signed(record(HELLO | {"tenant": "other"}, key=b"k"))
    digest = hashlib.sha256(b"k").hexdigest().encode()
    error = refused(changed(incoming, "webhook-id", b"mine-" + digest), keys=RING)
    assert "not by a key of the tenant" in error.problem.detail
    error = refused(changed(incoming, "webhook-id", b"a.1-" + digest), keys=RING)
    assert "have no full stop" in error.problem.detail


@pytest.mark.parametrize("minutes", [-6, 6])
def test_the_time_is_compared_with_that_of_the_broker(minutes: int) -> None:
    incoming = record(HELLO | {"tenant": "other"})
    late = signed(incoming, at_ms=NOW_MS + minutes * 60_000)
    assert "more than 5 minutes" in refused(late, keys=RING).problem.detail
    in_time = signed(incoming, at_ms=NOW_MS + minutes * 60_000 // 2)
    assert key_of(in_time, keys=RING).tenant == "other"


def test_one_tenant_s_key_signs_for_no_other() -> None:
    incoming = record(HELLO | {"tenant": "globex"}, topic="sluice.requests.two")
    foreign = signed(incoming, by=KeyRing.of([signing_key("*")]), tenant="globex")
    assert "not by a key" in refused(foreign, keys=RING).problem.detail
    by_other = KeyRing.of([SigningKey(tenant="globex", secret=OTHER.secret)])
    assert "not by a key" in (
        refused(signed(incoming, by=by_other, tenant="globex"), keys=RING).problem.detail
    )


def test_a_copy_of_a_signed_record_is_the_same_run_whatever_is_not_signed() -> None:
    """Its headers and its offset are others; it states no id."""
    event = tuple((f"ce_{name}", b"1.0") for name in ("specversion", "type", "source", "id"))
    incoming = signed(record({"workflow": "hello", "tenant": "other"}, key=None))
    copy = replace(
        incoming, position=Position("sluice.requests", 0, 2), headers=incoming.headers + event
    )
    received = decode_request(copy, origins=RecordOrigins(SETS, keys=RING))
    assert isinstance(received, ReceivedRun)
    assert received.key == key_of(incoming, keys=RING)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "abc", "whsec_" + "A" * 200])
def test_weak_and_malformed_keys_are_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SigningKey.model_validate({"tenant": "acme", "secret": secret})
    assert not secret or secret not in str(caught.value).replace("whsec_ and", "")
    assert "24 to 64 bytes" in str(caught.value)


def test_a_ring_does_not_show_its_keys() -> None:
    assert OTHER.secret.get_secret_value() not in repr(RING) + repr(OTHER)

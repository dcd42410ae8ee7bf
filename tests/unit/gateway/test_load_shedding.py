"""What is admitted, and that all of it is given back, however a request ends."""

from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sluice_contracts.topic_sets import TopicSets
from sluice_gateway.domain.errors import ProblemError
from sluice_gateway.services.load_shedding import AdmittedRequest, LoadShedder
from tests.unit.gateway.harness import load_shedder_of

MAX_REQUESTS, MAX_BYTES, MAX_BODIES = 6, 100, 8
TRUSTED_PROXIES = ("a", "b", "c")


class LeftError(Exception):
    """The client has gone."""


@dataclass(eq=False)
class Client:
    """A client, and what it has sent."""

    admitted: AdmittedRequest
    left: ExitStack
    sent: int = 0
    in_hand: bool = False


class Clients(RuleBasedStateMachine):
    """Clients of some peers send bodies, are refused, leave, or are done, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = load_shedder_of(
            max_requests=MAX_REQUESTS, max_bytes=MAX_BYTES, max_bodies=MAX_BODIES, peer_share=0.5
        )
        self.clients: list[Client] = []

    @rule(peer=st.sampled_from(TRUSTED_PROXIES))
    def connect(self, peer: str) -> None:
        stack = ExitStack()
        with suppress(ProblemError):
            admitted = stack.enter_context(self.admission.admitted(peer))
            self.clients.append(Client(admitted=admitted, left=stack))

    @rule(which=st.integers(0, 20), size=st.integers(1, 40))
    def send(self, which: int, size: int) -> None:
        for client in self.one(which, in_hand=False):
            try:
                client.admitted.add(size)
            except ProblemError as refused:
                self.leave(client, refused)
            else:
                client.sent += size

    @rule(which=st.integers(0, 20))
    def complete(self, which: int) -> None:
        for client in self.one(which, in_hand=False):
            try:
                client.admitted.begin()
            except ProblemError as refused:
                self.leave(client, refused)
            else:
                client.in_hand = True

    @rule(which=st.integers(0, 20), in_hand=st.booleans(), fails=st.booleans())
    def end(self, which: int, in_hand: bool, fails: bool) -> None:
        for client in self.one(which, in_hand=in_hand):
            self.leave(client, LeftError() if fails else None)

    @invariant()
    def counts_what_is_held_and_no_more(self) -> None:
        in_hand = sum(client.in_hand for client in self.clients)
        held = sum(client.sent for client in self.clients)
        assert self.admission.bytes_held == held <= MAX_BYTES
        assert self.admission.in_flight == in_hand <= MAX_REQUESTS
        assert len(self.clients) - in_hand <= MAX_BODIES

    def teardown(self) -> None:
        for client in list(self.clients):
            self.leave(client, None)
        assert (self.admission.bytes_held, self.admission.in_flight) == (0, 0)
        with ExitStack() as stack:
            for _ in range(MAX_BODIES // 2):
                stack.enter_context(self.admission.admitted("a"))

    def one(self, which: int, *, in_hand: bool) -> list[Client]:
        """Choose a client, if there is any."""
        found = [client for client in self.clients if client.in_hand is in_hand]
        return [found[which % len(found)]] if found else []

    def leave(self, client: Client, error: Exception | None) -> None:
        self.clients.remove(client)
        with suppress(LeftError, ProblemError), client.left:
            if error is not None:
                raise error


TestClients = Clients.TestCase


def full_of_one_peer() -> tuple[LoadShedder, ExitStack]:
    """Give an admission of which one peer holds all that it can: bodies, bytes and requests."""
    admission = load_shedder_of(
        max_requests=MAX_REQUESTS, max_bytes=MAX_BYTES, max_bodies=MAX_BODIES, peer_share=0.5
    )
    stack = ExitStack()
    with suppress(ProblemError):
        for _ in range(MAX_REQUESTS + 1):
            admitted = stack.enter_context(admission.admitted("greedy"))
            admitted.begin()
    with suppress(ProblemError):
        for _ in range(MAX_BODIES + 1):
            admitted = stack.enter_context(admission.admitted("greedy"))
            admitted.add(10)
    return admission, stack


@given(st.integers(0, MAX_BYTES // 4))
def test_others_find_the_remainder(size: int) -> None:
    admission, stack = full_of_one_peer()
    with stack, admission.admitted("another") as admitted:
        admitted.add(size)
        admitted.begin()


def test_the_greedy_one_is_refused_a_third_body() -> None:
    admission = load_shedder_of(max_bodies=4, peer_share=0.5)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(admission.admitted("greedy"))
        with pytest.raises(ProblemError, match="too many requests in flight") as refused:
            stack.enter_context(admission.admitted("greedy"))
    assert (refused.value.problem.status, refused.value.retry_after) == (429, 1)


def test_the_greedy_one_is_refused_more_bytes() -> None:
    admission = load_shedder_of(max_bytes=10, peer_share=0.5)
    with admission.admitted("greedy") as first, admission.admitted("greedy") as second:
        first.add(5)
        with pytest.raises(ProblemError):
            second.add(1)


def test_the_greedy_one_is_refused_a_second_request_in_hand() -> None:
    admission = load_shedder_of(max_requests=2, peer_share=0.5)
    with admission.admitted("greedy") as first, admission.admitted("greedy") as second:
        first.begin()
        with pytest.raises(ProblemError):
            second.begin()
        assert admission.in_flight == 1


def test_those_that_wait_for_the_topics_of_one_tenant_leave_room_for_others() -> None:
    admission = load_shedder_of(max_requests=MAX_REQUESTS)
    with ExitStack() as stack:

        def wait_for(tenant: str) -> AdmittedRequest:
            admitted = stack.enter_context(admission.admitted("a"))
            admitted.begin()
            admitted.wait_for(tenant)
            return admitted

        first = [wait_for("globex") for _ in range(MAX_REQUESTS // 2)]
        with pytest.raises(ProblemError, match="of this tenant") as refused:
            wait_for("globex")
        assert refused.value.problem.status == 503
        # The tenants of the default topics are another set; one request counts once for it.
        admitted = wait_for("default")
        admitted.wait_for("acme")
        first[0].release()
        wait_for("globex")
    with ExitStack() as stack:
        # All of it is given back.
        for _ in range(MAX_REQUESTS // 2):
            wait_for("globex")


def test_without_doors_all_requests_may_wait_for_the_same_topics() -> None:
    admission = load_shedder_of(max_requests=MAX_REQUESTS, topics=TopicSets())
    with ExitStack() as stack:
        for number in range(MAX_REQUESTS):
            admitted = stack.enter_context(admission.admitted("a"))
            admitted.begin()
            admitted.wait_for(f"tenant-{number}")

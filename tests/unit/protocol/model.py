"""One request and everything that may happen to it, between dispatchers, API server and watcher.

Time passes in ticks. Two dispatchers may both handle the record at any time, which is more than
any rebalance, crash or rewind causes. A create is on its own once it is sent: to the API server,
through admission, into etcd. It may be lost anywhere, and may land though its sender gave it up or
died. A Workflow may be deleted at any time, by its TTL or by anybody.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sluice_runtime.dedupe import APPLY_SLACK, DedupeSettings

__all__ = ["Margins", "State", "Steps", "start", "wrong"]

_AT_ONCE = 2
"""Creates under way at a time: the one whose Workflow is, and the one that comes late."""
_NOBODY = -1


@dataclass(frozen=True, kw_only=True)
class Margins:
    """The settings, in ticks; what is not a whole number of them is rounded to the wrong side."""

    freshness: int
    create: int
    apply: int
    release: int

    @classmethod
    def of(cls, settings: DedupeSettings, *, tick: float) -> "Margins":
        """Scale settings to ticks of so many seconds."""

        def up(seconds: float) -> int:
            return -int(-seconds // tick)

        return cls(
            freshness=up(settings.ledger_freshness.total_seconds()),
            create=up(settings.create_timeout.total_seconds()),
            apply=up(APPLY_SLACK.total_seconds()),
            release=int(settings.release_after.total_seconds() // tick),
        )


class Workflow(NamedTuple):
    """The object."""

    over: bool = False
    held: bool = True
    deleted: bool = False


class Create(NamedTuple):
    """A create under way: whose answer it is, where it is, and for how long it has been there."""

    sender: int
    place: str
    age: int = 0


class Hand(NamedTuple):
    """What a dispatcher does with the record, and for how long it has done so."""

    doing: str = "nothing"
    age: int = 0


class State(NamedTuple):
    """All there is. `published` and `holding` are ages."""

    workflow: Workflow | None = None
    uids: int = 0
    published: int | None = None
    """Of the outcome on the results topic."""
    holding: int | None = None
    """Since the watcher that runs has known that it is there."""
    hands: tuple[Hand, Hand] = (Hand(), Hand())
    creates: tuple[Create, ...] = ()


def start() -> State:
    """Nothing has happened yet."""
    return State()


def wrong(state: State) -> str | None:
    """Return which promise is broken."""
    if state.uids > 1:
        return "two uids"
    if state.uids and state.workflow is None and state.published is None:
        return "a lost outcome"
    if any(hand.doing == "finished" for hand in state.hands) and not state.uids:
        return "a request finished without a Workflow"
    return None


class Steps:
    """The steps out of a state.

    Args:
        margins: how long things may take.
        released_early: a fault, that the finalizer goes as soon as the run is over.
        looks_again: whether a dispatcher that was stopped notices it.
    """

    def __init__(
        self, margins: Margins, *, released_early: bool = False, looks_again: bool = True
    ) -> None:
        self._margins = margins
        self._released_early = released_early
        self._looks_again = looks_again
        # By their place: how long a create may be there.
        self._longest = {
            "network": margins.create,
            "admission": margins.create,
            "etcd": margins.apply,
        }

    def __call__(self, state: State) -> Iterator[tuple[str, State]]:
        """Yield each step's name, and the state after it."""
        for name, after in self._all(state):
            yield name, _alike(after)

    def _all(self, state: State) -> Iterator[tuple[str, State]]:
        yield from self._time(state)
        yield from self._world(state)
        yield from self._watcher(state)
        yield from self._creates(state)
        for number in range(len(state.hands)):
            yield from self._dispatcher(state, number)

    def _time(self, state: State) -> Iterator[tuple[str, State]]:
        m = self._margins
        if any(create.age >= self._longest[create.place] for create in state.creates):
            return
        if any(hand.doing == "waiting" and hand.age >= m.create for hand in state.hands):
            return
        published, holding = state.published, state.holding
        yield (
            "a tick passes",
            state._replace(
                published=None if published is None else min(published + 1, m.freshness),
                holding=None if holding is None else min(holding + 1, m.release),
                hands=_both(_older(hand, most=m.freshness + 1) for hand in state.hands),
                creates=tuple(each._replace(age=each.age + 1) for each in state.creates),
            ),
        )

    def _world(self, state: State) -> Iterator[tuple[str, State]]:
        workflow = state.workflow
        if workflow is None:
            return
        if not workflow.over:
            yield "the run ends", state._replace(workflow=workflow._replace(over=True))
        if not workflow.deleted:
            deleted = workflow._replace(over=True, deleted=True)
            yield "the Workflow is deleted", state._replace(workflow=deleted)
        if workflow.deleted and not workflow.held:
            yield "the Workflow is gone", state._replace(workflow=None, holding=None)

    def _watcher(self, state: State) -> Iterator[tuple[str, State]]:
        workflow = state.workflow
        if workflow is None or not workflow.over:
            return
        if state.published is None:
            yield "the outcome is published", state._replace(published=0, holding=0)
        elif state.holding is None:
            yield "a new watcher finds the outcome published", state._replace(holding=0)
        else:
            yield "the watcher dies", state._replace(holding=None)
        due = state.holding is not None and state.holding >= self._margins.release
        if workflow.held and (due or self._released_early):
            released = workflow._replace(held=False)
            yield "the finalizer is removed", state._replace(workflow=released)

    def _creates(self, state: State) -> Iterator[tuple[str, State]]:
        for create in state.creates:
            lost = _answered(_without(state, create), create, "unsure")
            yield f"a create is lost in the {create.place}", lost
            if create.place == "network":
                received = create._replace(place="admission", age=0)
                yield "the API server has a create", _instead(state, create, received)
            elif create.place == "admission":
                handed_on = create._replace(place="etcd", age=0)
                yield "a create goes to etcd", _instead(state, create, handed_on)
            elif state.workflow is None:
                created = state._replace(workflow=Workflow(), uids=state.uids + 1)
                landed = _answered(_without(created, create), create, "finished")
                yield "a create lands", landed
            else:
                yield "a create finds the name taken", lost

    def _dispatcher(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        hand = state.hands[number]
        match hand.doing:
            case "nothing":
                yield from self._fresh_entry(state, number)
            case "deciding" if not self._looks_again or hand.age <= self._margins.freshness:
                if len(state.creates) < _AT_ONCE:
                    sent = Create(number, "network")
                    sending = state._replace(creates=(*state.creates, sent))
                    yield "a create is sent", _doing(sending, number, "waiting")
            case "deciding":
                yield "a dispatcher notices a stop", _doing(state, number, "nothing")
            case "waiting":
                yield (
                    "a dispatcher gives a create up",
                    _doing(_orphaned(state, number), number, "unsure"),
                )
            case "unsure" if state.workflow is not None:
                yield "the Workflow is found", _doing(state, number, "finished")
            case "unsure":
                yield from self._fresh_entry(state, number)
            case "finished":
                yield "the offset is committed", _doing(state, number, "nothing")
        if hand.doing != "nothing":
            yield "a dispatcher dies", _doing(_orphaned(state, number), number, "nothing")

    def _fresh_entry(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        """Ask the ledger, which knows what was published long enough ago, and perhaps more."""
        if state.published is not None:
            yield "the ledger knows the outcome", _doing(state, number, "finished")
        if state.published is None or state.published < self._margins.freshness:
            yield "the ledger knows nothing", _doing(state, number, "deciding")


def _alike(state: State) -> State:
    """Return one of the states that differ only in the names of the dispatchers."""
    first, second = state.hands
    other = {0: 1, 1: 0, _NOBODY: _NOBODY}
    plain = tuple(sorted(state.creates))
    swapped = tuple(sorted(each._replace(sender=other[each.sender]) for each in state.creates))
    if (first, second, plain) <= (second, first, swapped):
        return state._replace(creates=plain)
    return state._replace(hands=(second, first), creates=swapped)


def _older(hand: Hand, *, most: int) -> Hand:
    match hand.doing:
        case "deciding":
            return hand._replace(age=min(hand.age + 1, most))
        case "waiting":
            return hand._replace(age=hand.age + 1)
    return hand


def _both(hands: Iterator[Hand]) -> tuple[Hand, Hand]:
    first, second = hands
    return first, second


def _doing(state: State, number: int, doing: str) -> State:
    first, second = state.hands
    hand = Hand(doing)
    return state._replace(hands=(first, hand) if number else (hand, second))


def _without(state: State, create: Create) -> State:
    left = list(state.creates)
    left.remove(create)
    return state._replace(creates=tuple(left))


def _instead(state: State, create: Create, other: Create) -> State:
    without = _without(state, create)
    return without._replace(creates=(*without.creates, other))


def _answered(state: State, create: Create, doing: str) -> State:
    """Deliver the answer to the dispatcher that waits for the create."""
    return state if create.sender == _NOBODY else _doing(state, create.sender, doing)


def _orphaned(state: State, number: int) -> State:
    """Let a create continue without a dispatcher that waits for its answer."""
    creates = tuple(
        each._replace(sender=_NOBODY) if each.sender == number else each for each in state.creates
    )
    return state._replace(creates=creates)

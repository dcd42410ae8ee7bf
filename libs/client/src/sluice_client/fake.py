"""A Sluice in memory, for tests of what uses the client; the same tests hold for both."""

from collections.abc import Mapping, Sequence
from typing import Any

from sluice_client.client import Sluice
from sluice_client.fake_logs import FakeLogs
from sluice_client.fake_runs import Behaviour, FakeRuns
from sluice_client.retries import Retries
from sluice_contracts.ids import DEFAULT_TENANT, RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.requests import Command, RunRequest
from sluice_contracts.status import Phase, StatusEvent

__all__ = ["FakeSluice"]


class FakeSluice(Sluice):
    """A client without a server: `FakeSluice({"hello": lambda parameters: {"text": "Hi"}})`.

    Args:
        workflows: what each workflow does, from its parameters to its outputs; a run in which that
            raises has failed. None holds the run, for `publish`. Without any, all workflows exist,
            and all runs are held.
        tenant: who runs belong to, unless a call says so.
    """

    def __init__(
        self,
        workflows: Mapping[str, Behaviour | None] | None = None,
        *,
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        self._runs_of_test = FakeRuns(workflows)
        self._gateway = FakeLogs(self._runs_of_test)
        # What fails is repeated at once, and not for long.
        retries = Retries(within=1.0, first_pause=0.001)
        super().__init__("fake:", tenant=tenant, retries=retries, transport=self._gateway)

    @property
    def requests(self) -> list[RunRequest]:
        """What was started, each run once, in order."""
        return [run.request for run in self._runs_of_test.runs.values()]

    @property
    def commands(self) -> Sequence[Command]:
        """The commands to runs, in order."""
        return self._runs_of_test.commands

    def publish(
        self,
        run_id: str,
        phase: Phase,
        *,
        tenant: str | None = None,
        **changes: Any,  # noqa: ANN401 - members of an event
    ) -> StatusEvent:
        """Let something happen to a run; `changes` are members of the event, such as `outputs`.

        It may be called from any thread.
        """
        run = self._runs_of_test.runs[RunKey(tenant or self.tenant, run_id)]
        return self._runs_of_test.publish(run, phase, **changes)

    def write_log(self, run_id: str, step: str, *lines: str, tenant: str | None = None) -> None:
        """Let a step of a run write lines; it may be called from any thread."""
        self._gateway.write(RunKey(tenant or self.tenant, run_id), step, *lines)

    def delete_log(self, run_id: str, step: str, *, tenant: str | None = None) -> None:
        """Let the log of a step be gone, as it is some time after the step has ended."""
        self._gateway.delete(RunKey(tenant or self.tenant, run_id), step)

    def reject(
        self,
        value: str,
        *,
        kind: ProblemType = ProblemType.INVALID_REQUEST,
        tenant: str | None = None,
    ) -> str:
        """Let a record with this value be a dead letter; return its id."""
        return self._gateway.letters.add(value, kind, tenant=tenant or self.tenant)

    def fail_next(self, kind: ProblemType, *, carried_out: bool = False, times: int = 1) -> None:
        """Answer the next requests with a problem.

        With `carried_out` they have their effect all the same, as if the answer had been lost.
        """
        self._gateway.fail_next(kind, carried_out=carried_out, times=times)

"""Every operation, for every kind of grant and every run: allowed or refused as the grant says.

The operations come from the table that the gateway is made of. One without a rule here fails.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientResponse

from sluice_contracts.cloudevents import STRUCTURED
from sluice_contracts.controls import Control, ControlTarget
from sluice_contracts.dead_letters import encode_dead_letter
from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.records import IncomingRecord, Position
from sluice_contracts.requests import COMMANDS
from sluice_gateway.domain.dead_letters import LetterId
from sluice_gateway.domain.identity import Scope
from sluice_gateway.domain.reach import ANY
from sluice_gateway.handlers.operations import NDJSON, Operation
from sluice_gateway.services.shown_limits import ShownLimits
from sluice_runtime.live_limits import Limits, TenantLimits, WorkflowLimits
from sluice_workflows.catalogue import Catalogue
from sluice_workflows.entries import Entry, TemplateRef
from tests.unit.gateway.harness import SETS, Gateway, GreetParameters
from tests.unit.gateway.identities import as_, grant, granting_gateway
from tests.unit.gateway.test_controls import FakeControls
from tests.unit.gateway.test_operations import STYLE, each_operation

TENANTS: Final = ("acme", "globex")
WORKFLOWS: Final = ("greet", "count")
TARGETS: Final = tuple(product(TENANTS, WORKFLOWS))

LIMITS = Limits(
    live=9,
    tenants={ANY: TenantLimits(live=5, weight=2, paused="unpaid")},
    workflows={name: WorkflowLimits(live=7, paused="moved") for name in WORKFLOWS},
)
CATALOGUE = Catalogue(
    Entry(
        name=name,
        description="Does something.",
        parameters=GreetParameters,
        template=TemplateRef(name=name),
    )
    for name in WORKFLOWS
)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A principal with one grant, and what the grant says, without the code that decides it."""

    scopes: tuple[Scope, ...]
    tenants: tuple[str, ...]
    workflows: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name of the principal, which is its token."""
        parts = (self.scopes, self.tenants, self.workflows)
        return "/".join("+".join(part) or "none" for part in parts)

    def may(self, scope: Scope, tenant: str, workflow: str) -> bool:
        """Return whether the grant gives the scope for this workflow and tenant."""
        return (
            scope in self.scopes
            and bool({ANY, tenant} & set(self.tenants))
            and bool({ANY, workflow} & set(self.workflows))
        )

    def those(self, *scopes: Scope) -> list[str]:
        """Return the ids of the runs for which it has all scopes."""
        return [
            run_id(tenant, workflow)
            for tenant, workflow in TARGETS
            if all(self.may(scope, tenant, workflow) for scope in scopes)
        ]


def callers() -> Iterator[Caller]:
    """Give a principal for each combination that matters."""
    scopes: list[tuple[Scope, ...]] = [(scope,) for scope in Scope]
    scopes += [(Scope.READ, Scope.START), (Scope.READ, Scope.COMMAND), tuple(Scope), ()]
    areas = [
        ((ANY,), (ANY,)),
        (("acme",), (ANY,)),
        ((ANY,), ("greet",)),
        (("acme",), ("greet",)),
        (("nobody",), (ANY,)),
    ]
    for each, (tenants, workflows) in product(scopes, areas):
        yield Caller(scopes=each, tenants=tenants, workflows=workflows)


def run_id(tenant: str, workflow: str) -> str:
    return f"{tenant}-{workflow}"


def request_for(tenant: str, workflow: str, **more: str) -> dict[str, Any]:
    parameters = {"name": "Ada"}
    return {"workflow": workflow, "tenant": tenant, "parameters": parameters, **more}


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of the operation by the caller, about the run of a tenant and workflow."""

    gateway: Gateway
    operation: Operation
    caller: Caller
    tenant: str
    workflow: str
    letter: str
    """The id of a dead letter of the tenant that asks for the workflow, if there is one."""

    def has(self, scope: Scope) -> bool:
        """Return whether the caller has the scope for the run."""
        return self.caller.may(scope, self.tenant, self.workflow)

    async def send(self, *, media_type: str | None = None, **more: Any) -> ClientResponse:
        """Send the request; a stream is asked for by HEAD, for it would not end."""
        named = run_id(self.tenant, self.workflow)
        if self.operation.path.startswith("/v1/dead-letters"):
            named = self.letter
        path = self.operation.path.replace("{id}", named)
        name = self.tenant if path.startswith("/v1/tenants/") else self.workflow
        path = path.replace("{name}", name).replace("{step}", "say").replace("{file}", STYLE)
        is_stream = self.operation.id in ("followRun", "followRuns")
        return await self.gateway.client.request(
            "HEAD" if is_stream else self.operation.method,
            path,
            headers={
                **as_(self.caller.name),
                **({"Content-Type": media_type} if media_type else {}),
            },
            **more,
        )

    async def status(self, **more: Any) -> int:
        """Send the request and return the status of the answer."""
        return (await self.send(**more)).status


Rule = Callable[[Call], Awaitable[None]]


async def is_public(call: Call) -> None:
    assert await call.status() == 200


async def starts(call: Call) -> None:
    body = request_for(call.tenant, call.workflow)
    event = {"specversion": "1.0", "id": call.workflow, "source": "/s", "type": "t", "data": body}
    expected = call.has(Scope.START)
    assert await call.status(json=body) == (202 if expected else 403)
    assert await call.status(json=body, params={"validate_only": "true"}) == (
        200 if expected else 403
    )
    structured = await call.send(data=json.dumps(event), media_type=STRUCTURED)
    # The same event may come again.
    assert structured.status in ((200, 202) if expected else (403,))


async def starts_each(call: Call) -> None:
    documents = [request_for(*target) for target in TARGETS]
    lines = "\n".join(map(json.dumps, documents))
    answer = await call.send(data=lines, media_type=NDJSON)
    expected = [202 if call.caller.may(Scope.START, *target) else 403 for target in TARGETS]
    assert answer.status == (200 if set(expected) == {202} else 207)
    assert [item["status"] for item in (await answer.json())["items"]] == expected


async def reads(call: Call) -> None:
    found = 202 if call.operation.id == "getOutcome" else 200
    status = await call.status(params={"tenant": call.tenant})
    assert status == (found if call.has(Scope.READ) else 404)


async def lists(call: Call) -> None:
    answer = await (await call.send()).json()
    assert sorted(run["id"] for run in answer["runs"]) == sorted(call.caller.those(Scope.READ))
    narrowed = await (await call.send(params={"tenant": call.tenant})).json()
    assert {run["id"] for run in narrowed["runs"]} == {
        each for each in call.caller.those(Scope.READ) if each.startswith(call.tenant)
    }


async def counts(call: Call) -> None:
    assert (await (await call.send()).json())["total"] == len(call.caller.those(Scope.READ))


async def streams(call: Call) -> None:
    assert await call.status() == 200


async def reruns(call: Call) -> None:
    expected = 202 if call.has(Scope.START) else 403
    status = await call.status(params={"tenant": call.tenant})
    assert status == (expected if call.has(Scope.READ) else 404)


async def reads_logs(call: Call) -> None:
    # The run has no steps; only those who may read them find that out.
    answer = await call.send(params={"tenant": call.tenant})
    granted = call.has(Scope.READ) and call.has(Scope.PAYLOADS)
    known = ProblemType.NOT_FOUND if granted else ProblemType.UNKNOWN_RUN
    assert (answer.status, (await answer.json())["type"]) == (404, known)


async def commands(call: Call) -> None:
    # A reader of the run knows that it is there, so that 403 says nothing new.
    refused = 403 if call.has(Scope.READ) else 404
    status = await call.status(params={"tenant": call.tenant})
    assert status == (202 if call.has(Scope.COMMAND) else refused)


async def commands_many(call: Call) -> None:
    those = call.caller.those(Scope.COMMAND, Scope.READ)
    answer = await call.send(params={"expect": str(len(those))})
    assert answer.status == 202
    assert sorted(each["id"] for each in (await answer.json())["items"]) == sorted(those)
    if len(those) < len(TARGETS):
        assert await call.status(params={"expect": str(len(TARGETS))}) == 412


async def lists_workflows(call: Call) -> None:
    answer = await (await call.send()).json()
    assert [entry["name"] for entry in answer["workflows"]] == [
        name for name in WORKFLOWS if sees_workflow(call.caller, name)
    ]


async def shows_workflow(call: Call) -> None:
    assert await call.status() == (200 if sees_workflow(call.caller, call.workflow) else 404)


async def controls_tenant(call: Call) -> None:
    assert await call.status() == (202 if call.caller.may(Scope.ADMIN, call.tenant, ANY) else 403)


async def controls_workflow(call: Call) -> None:
    assert await call.status() == (202 if call.caller.may(Scope.ADMIN, ANY, call.workflow) else 403)


async def lists_controls(call: Call) -> None:
    answer = await (await call.send()).json()
    assert [each["name"] for each in answer["controls"]] == [
        *(each for each in TENANTS if {ANY, each} & set(call.caller.tenants)),
        *(each for each in sorted(WORKFLOWS) if {ANY, each} & set(call.caller.workflows)),
    ]


async def shows_limits(call: Call) -> None:
    answer = await (await call.send()).json()
    seen = [each for each in TARGETS if call.caller.may(Scope.READ, *each)]
    # A limit says how many runs there are in all, so all of them must be readable.
    whole = {
        (tenant, workflow): call.caller.may(Scope.READ, tenant, workflow)
        for tenant, workflow in product((*TENANTS, ANY), (*WORKFLOWS, ANY))
    }
    limit = 9 if whole[ANY, ANY] else None
    assert answer["total"] == {"live": 0, "waiting": len(seen), "limit": limit}
    for each in answer["tenants"]:
        known = (5, 2, "unpaid") if whole[each["name"], ANY] else (None, None, None)
        assert (each["limit"], each["weight"], each["paused"]) == known
    for each in answer["workflows"]:
        known_of = (7, "moved") if whole[ANY, each["name"]] else (None, None)
        assert (each["limit"], each["paused"]) == known_of
    of_tenants = {each["name"]: each["waiting"] for each in answer["tenants"]}
    assert of_tenants == Counter(tenant for tenant, _ in seen)
    of_workflows = {each["name"]: each["waiting"] for each in answer["workflows"]}
    assert of_workflows == {
        name: sum(workflow == name for _, workflow in seen)
        for name in WORKFLOWS
        if {ANY, name} & set(call.caller.workflows)
    }


async def lists_letters(call: Call) -> None:
    answer = await (await call.send(params={"state": "open"})).json()
    listed = {each["tenant"] for each in answer["dead_letters"]}
    assert listed == {each for each in TENANTS if call.caller.may(Scope.DLQ, each, ANY)}


async def shows_letter(call: Call) -> None:
    answer = await call.send()
    granted = call.caller.may(Scope.DLQ, call.tenant, ANY)
    assert answer.status == (200 if granted else 404)
    if granted:
        shown = (await answer.json())["payload"] is not None
        assert shown is call.caller.may(Scope.PAYLOADS, call.tenant, ANY)


async def replays_letter(call: Call) -> None:
    # What the record asks for has to be granted as well.
    refused = 403 if call.caller.may(Scope.DLQ, call.tenant, ANY) else 404
    may = refused == 403 and call.has(Scope.START)
    assert await call.status() == (202 if may else refused)


async def drops_letter(call: Call) -> None:
    assert await call.status() == (202 if call.caller.may(Scope.DLQ, call.tenant, ANY) else 404)


async def says_who(call: Call) -> None:
    answer = await (await call.send()).json()
    assert answer["principal"] == f"api_key:{call.caller.name}"
    assert answer["scopes"] == [each for each in Scope if each in call.caller.scopes]


def sees_workflow(caller: Caller, name: str) -> bool:
    uses = bool({Scope.START, Scope.READ} & set(caller.scopes))
    return uses and bool({ANY, name} & set(caller.workflows))


RULES: Final[dict[str, Rule]] = {
    "startRun": starts,
    "startRuns": starts_each,
    "getRun": reads,
    "getOutcome": reads,
    "followRun": reads,
    "getStepLogs": reads_logs,
    "listRuns": lists,
    "countRuns": counts,
    "followRuns": streams,
    "rerunRun": reruns,
    **{f"{command}Run": commands for command in COMMANDS},
    **{f"{command}Runs": commands_many for command in COMMANDS},
    "listControls": lists_controls,
    "showLimits": shows_limits,
    **{f"{verb}Tenant": controls_tenant for verb in ("pause", "drain", "resume")},
    **{f"{verb}Workflow": controls_workflow for verb in ("pause", "drain", "resume")},
    "listDeadLetters": lists_letters,
    "getDeadLetter": shows_letter,
    "replayDeadLetter": replays_letter,
    "dropDeadLetter": drops_letter,
    "listWorkflows": lists_workflows,
    "getWorkflow": shows_workflow,
    "getIdentity": says_who,
    **dict.fromkeys(("getIndex", "getOpenapi", "getAsyncapi", "getDocs", "getDocsFile"), is_public),
}
"""What an operation does for those whom it lets in at all."""

LETS_IN: Final[dict[Rule, set[Scope]]] = {
    starts: {Scope.START},
    starts_each: {Scope.START},
    reads: {Scope.READ},
    reads_logs: {Scope.PAYLOADS},
    lists: {Scope.READ},
    counts: {Scope.READ},
    streams: {Scope.READ},
    reruns: {Scope.START},
    commands: {Scope.COMMAND},
    commands_many: {Scope.COMMAND},
    controls_tenant: {Scope.ADMIN},
    controls_workflow: {Scope.ADMIN},
    lists_controls: {Scope.START, Scope.READ, Scope.ADMIN},
    shows_limits: {Scope.READ},
    lists_letters: {Scope.DLQ},
    shows_letter: {Scope.DLQ},
    replays_letter: {Scope.DLQ},
    drops_letter: {Scope.DLQ},
    lists_workflows: {Scope.START, Scope.READ},
    shows_workflow: {Scope.START, Scope.READ},
    says_who: set(Scope),
}
"""The scopes of which a principal needs one somewhere; 403 to others says nothing of any run."""


async def letter_of(gateway: Gateway, tenant: str, workflow: str) -> str:
    """Make a dead letter of a request, of which the topic says that it is from the tenant."""
    value = json.dumps(request_for(tenant, workflow)).encode()
    topics = SETS.of_tenant(tenant).topics
    record = IncomingRecord(
        position=Position(topics.requests, 0, 0), timestamp_ms=0, key=None, value=value
    )
    why, run = problem(ProblemType.UNKNOWN_WORKFLOW, "No."), RunKey(tenant, "spent")
    written = await gateway.bury(encode_dead_letter(record, why, key=run), topic=topics.dlq)
    door = SETS.of_tenant(tenant).name
    return str(LetterId(door, written.position.partition, written.position.offset))


@each_operation()
async def test_each_call_is_allowed_or_refused_as_the_grant_says(
    tmp_path: Path, operation: Operation
) -> None:
    rule = RULES[operation.id]
    about_letters = operation.path.startswith("/v1/dead-letters")
    everybody = list(callers())
    grants = [
        grant(each.name, *each.scopes, tenants=each.tenants, workflows=each.workflows)
        for each in everybody
    ]
    admin = grant("seed", *Scope)
    topic = FakeControls()
    if rule is lists_controls:
        paused = Control(state="paused")
        topic.states.update((ControlTarget("tenant", name), paused) for name in TENANTS)
        topic.states.update((ControlTarget("workflow", name), paused) for name in WORKFLOWS)
    async with granting_gateway(
        tmp_path,
        *grants,
        admin,
        catalogue=CATALOGUE,
        controls=topic.service(),
        shown_limits=ShownLimits(current=lambda: LIMITS),
    ) as gateway:
        for target in TARGETS:
            body = request_for(*target, id=run_id(*target))
            seeded = await gateway.client.post("/v1/runs", json=body, headers=as_("seed"))
            assert seeded.status == 202
        for caller, (tenant, workflow) in product(everybody, TARGETS):
            call = Call(
                gateway=gateway,
                operation=operation,
                caller=caller,
                tenant=tenant,
                workflow=workflow,
                letter=await letter_of(gateway, tenant, workflow) if about_letters else "",
            )
            if rule is not is_public and not LETS_IN[rule] & set(caller.scopes):
                assert await call.status() == 403, caller
                continue
            await rule(call)

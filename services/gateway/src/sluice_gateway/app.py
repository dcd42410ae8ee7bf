"""Puts the gateway together: ports in, an application out."""

from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import web

from sluice_contracts.topics import MAX_REQUEST_BYTES, TopicNames
from sluice_gateway.domain.allowed_hosts import AllowedHosts
from sluice_gateway.domain.browser_access import BrowserAccess
from sluice_gateway.domain.dead_letters import DeadLetters
from sluice_gateway.domain.trusted_proxies import TrustedProxies
from sluice_gateway.handlers.app_keys import (
    ALLOWED_HOSTS,
    AUDIT,
    BATCHES,
    BROWSER_ACCESS,
    BULK_COMMANDS,
    CATALOGUE,
    COMMANDS,
    CONTROLS,
    FRAMES,
    GREETING,
    IDENTIFICATION,
    LETTER_DECISIONS,
    LETTERS,
    LIMITS,
    LOAD_SHEDDER,
    LOOP_SHARE,
    METRICS,
    QUOTAS,
    READER,
    RESPONSE_BUDGET,
    SHARED_PAGES,
    SHOWN_LIMITS,
    STEP_LOGS,
    SUBMISSION,
    TRUSTED_PROXIES,
    VIEW,
    WATCH_LINKS,
    Limits,
)
from sluice_gateway.handlers.cross_origin import allow_other_origins
from sluice_gateway.handlers.dashboard import dashboard_routes
from sluice_gateway.handlers.middleware import (
    check_host,
    count_requests,
    problem_responses,
    set_headers,
    trace_requests,
)
from sluice_gateway.handlers.reference import REFERENCE, reference_of
from sluice_gateway.handlers.routing import routes
from sluice_gateway.handlers.sign_in import SIGN_IN, sign_in_routes
from sluice_gateway.handlers.table import OPERATIONS
from sluice_gateway.metrics import Metrics
from sluice_gateway.ports import LetterTopics, RequestProducer, RunView
from sluice_gateway.services.audit import Audit
from sluice_gateway.services.batches import BatchSubmission
from sluice_gateway.services.bulk_commands import BulkCommands
from sluice_gateway.services.commands import Commands
from sluice_gateway.services.controls import Controls
from sluice_gateway.services.event_frames import EventFrames
from sluice_gateway.services.identification import Identification
from sluice_gateway.services.letter_decisions import LetterDecisions
from sluice_gateway.services.letter_reader import LetterReader
from sluice_gateway.services.load_shedding import LoadShedder
from sluice_gateway.services.loop_share import LoopShare
from sluice_gateway.services.request_quotas import RequestQuotas
from sluice_gateway.services.response_budget import ResponseBudget
from sluice_gateway.services.run_reader import RunReader
from sluice_gateway.services.shared_pages import SharedPages
from sluice_gateway.services.shown_limits import ShownLimits
from sluice_gateway.services.sign_in import SignIn
from sluice_gateway.services.step_logs import StepLogs
from sluice_gateway.services.submission import Submission
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_gateway.services.watch_links import WatchLinks
from sluice_workflows.catalogue import Catalogue

__all__ = ["create_app"]

# Of the event loop's time, for reading large bodies: about ten of the worst a second.
_LARGE_BODIES_SHARE: Final = 0.25
_NO_BROWSERS: Final = BrowserAccess()


def create_app(
    *,
    catalogue: Catalogue,
    request_producer: RequestProducer,
    view: RunView,
    subscriptions: RunSubscriptions,
    metrics: Metrics,
    load_shedder: LoadShedder,
    trusted_proxies: TrustedProxies,
    allowed_hosts: AllowedHosts,
    limits: Limits,
    greeting: str,
    response_budget: ResponseBudget,
    frames: EventFrames,
    shared_pages: SharedPages,
    topics: TopicNames,
    identification: Identification,
    audit: Audit,
    letters: DeadLetters,
    letter_topics: LetterTopics,
    letters_staleness: Mapping[str, Callable[[], float | None]] = MappingProxyType({}),
    controls_topic: str | None = None,
    audit_topic: str | None = None,
    trusts_authors: bool = False,
    quotas: RequestQuotas | None = None,
    controls: Controls | None = None,
    step_logs: StepLogs | None = None,
    shown_limits: ShownLimits | None = None,
    browser_access: BrowserAccess = _NO_BROWSERS,
    sign_in: SignIn | None = None,
    watch_links: WatchLinks | None = None,
) -> web.Application:
    """Make the application; the caller closes what it passes in, afterwards.

    `topics`, `controls_topic` and `audit_topic` are for the contract that is served.
    `letters_staleness` says how old, in seconds, the dead letters of each topic set are that are
    known; None if they are not read yet.

    Without `controls` nothing can be paused, without `quotas` requests are not counted, without
    `sign_in` nobody signs in, without `step_logs` no step has a log, and without `watch_links` no
    links are made; without `shown_limits` no limits of live runs are shown.

    Shutting the application down ends the event streams and waits for records on their way.
    """
    quotas = quotas or RequestQuotas()
    submission = Submission(
        catalogue=catalogue,
        producer=request_producer,
        view=view,
        quotas=quotas,
        trusts_authors=trusts_authors,
    )
    commands = Commands(producer=request_producer, view=view, quotas=quotas)
    reader = LetterReader(letters=letters, topics=letter_topics, staleness=letters_staleness)
    metrics.watch_in_flight(lambda: load_shedder.in_flight)
    metrics.watch_outgoing(lambda: response_budget.held + frames.held + shared_pages.held)

    # The order is outside in: every answer is traced and counted, problems included.
    app = web.Application(
        middlewares=[trace_requests, count_requests, problem_responses, check_host],
        client_max_size=MAX_REQUEST_BYTES,
    )
    app[LOAD_SHEDDER] = load_shedder
    app[AUDIT] = audit
    app[BATCHES] = BatchSubmission(submission=submission)
    app[BROWSER_ACCESS] = browser_access
    app[BULK_COMMANDS] = BulkCommands(view=view, commands=commands)
    app[CATALOGUE] = catalogue
    app[COMMANDS] = commands
    app[CONTROLS] = controls or Controls()
    app[FRAMES] = frames
    app[GREETING] = greeting
    app[IDENTIFICATION] = identification
    app[ALLOWED_HOSTS] = allowed_hosts
    app[LETTERS] = reader
    app[LETTER_DECISIONS] = LetterDecisions(
        letters=letters,
        reader=reader,
        topics=letter_topics,
        submission=submission,
        commands=commands,
    )
    app[LIMITS] = limits
    app[SHOWN_LIMITS] = shown_limits or ShownLimits()
    app[LOOP_SHARE] = LoopShare(share=_LARGE_BODIES_SHARE)
    app[METRICS] = metrics
    app[TRUSTED_PROXIES] = trusted_proxies
    app[RESPONSE_BUDGET] = response_budget
    app[QUOTAS] = quotas
    app[READER] = RunReader(view=view)
    app[REFERENCE] = reference_of(
        OPERATIONS, topics, controls_topic=controls_topic, audit_topic=audit_topic
    )
    app[SHARED_PAGES] = shared_pages
    app[STEP_LOGS] = logs = step_logs or StepLogs()
    app[SUBMISSION] = submission
    app[VIEW] = view
    app.add_routes([*routes(OPERATIONS), *dashboard_routes()])
    _let_people_in(app, sign_in=sign_in, watch_links=watch_links)

    async def end_streams(_: web.Application) -> None:
        subscriptions.close()
        await logs.close()

    async def drain_records(_: web.Application) -> AsyncIterator[None]:
        yield
        await submission.drain()
        await commands.drain()

    app.on_response_prepare.extend((set_headers, allow_other_origins))
    app.on_shutdown.append(end_streams)
    app.cleanup_ctx.append(drain_records)
    return app


def _let_people_in(
    app: web.Application, *, sign_in: SignIn | None, watch_links: WatchLinks | None
) -> None:
    """Add what is only there if it is configured."""
    if sign_in is not None:
        app[SIGN_IN] = sign_in
        app.add_routes(sign_in_routes())
    if watch_links is not None:
        app[WATCH_LINKS] = watch_links

"""What handlers find in the application, by typed keys."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from sluice_gateway.domain.allowed_hosts import AllowedHosts
from sluice_gateway.domain.browser_access import BrowserAccess
from sluice_gateway.domain.identity import Identity
from sluice_gateway.domain.trusted_proxies import TrustedProxies
from sluice_gateway.metrics import Metrics
from sluice_gateway.ports import RunView
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
from sluice_gateway.services.step_logs import StepLogs
from sluice_gateway.services.submission import Submission
from sluice_gateway.services.watch_links import WatchLinks
from sluice_workflows.catalogue import Catalogue

__all__ = [
    "ALLOWED_HOSTS",
    "AUDIT",
    "BATCHES",
    "BROWSER_ACCESS",
    "BULK_COMMANDS",
    "CATALOGUE",
    "COMMANDS",
    "CONTROLS",
    "FRAMES",
    "GREETING",
    "IDENTIFICATION",
    "IDENTITY",
    "LETTERS",
    "LETTER_DECISIONS",
    "LIMITS",
    "LOAD_SHEDDER",
    "LOOP_SHARE",
    "METRICS",
    "QUOTAS",
    "READER",
    "RESPONSE_BUDGET",
    "SHARED_PAGES",
    "SHOWN_LIMITS",
    "STEP_LOGS",
    "SUBMISSION",
    "TRACEPARENT",
    "TRUSTED_PROXIES",
    "VIEW",
    "WATCH_LINKS",
    "Limits",
]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times in seconds: for a body to come, for a stream's reader to read, between comments.

    A body also has to come at `body_rate` bytes a second, but for pauses of `body_grace` seconds.
    """

    body_timeout: float = 15.0
    body_rate: float = 16_384.0
    body_grace: float = 5.0
    write_timeout: float = 30.0
    keepalive: float = 15.0


LOAD_SHEDDER: Final = web.AppKey("admission", LoadShedder)
AUDIT: Final = web.AppKey("audit", Audit)
BATCHES: Final = web.AppKey("batches", BatchSubmission)
BROWSER_ACCESS: Final = web.AppKey("browser_access", BrowserAccess)
BULK_COMMANDS: Final = web.AppKey("bulk_commands", BulkCommands)
CATALOGUE: Final = web.AppKey("catalogue", Catalogue)
COMMANDS: Final = web.AppKey("commands", Commands)
CONTROLS: Final = web.AppKey("controls", Controls)
FRAMES: Final = web.AppKey("frames", EventFrames)
GREETING: Final = web.AppKey("greeting", str)
ALLOWED_HOSTS: Final = web.AppKey("allowed_hosts", AllowedHosts)
IDENTIFICATION: Final = web.AppKey("identification", Identification)
LETTERS: Final = web.AppKey("letters", LetterReader)
LETTER_DECISIONS: Final = web.AppKey("letter_decisions", LetterDecisions)
LIMITS: Final = web.AppKey("limits", Limits)
LOOP_SHARE: Final = web.AppKey("loop_share", LoopShare)
METRICS: Final = web.AppKey("metrics", Metrics)
TRUSTED_PROXIES: Final = web.AppKey("peers", TrustedProxies)
RESPONSE_BUDGET: Final = web.AppKey("outgoing", ResponseBudget)
QUOTAS: Final = web.AppKey("quotas", RequestQuotas)
READER: Final = web.AppKey("reader", RunReader)
SHOWN_LIMITS: Final = web.AppKey("shown_limits", ShownLimits)
SHARED_PAGES: Final = web.AppKey("shared_pages", SharedPages)
STEP_LOGS: Final = web.AppKey("step_logs", StepLogs)
SUBMISSION: Final = web.AppKey("submission", Submission)
VIEW: Final = web.AppKey("view", RunView)

WATCH_LINKS: Final = web.AppKey("watch_links", WatchLinks)
"""What makes watch links; it is missing where there are none."""

TRACEPARENT: Final = web.RequestKey("traceparent", str)
"""The request's own span in its caller's trace."""

IDENTITY: Final = web.RequestKey("identity", Identity)
"""Who asks, and what they may do; not on public operations."""

"""Query parameters of list and watch requests."""

import asyncio
import base64
import binascii
import re
from dataclasses import dataclass

from aiohttp import web

from sluice_engine.documents import decode, encode
from sluice_engine.store.errors import ApiError, bad_request
from sluice_engine.store.resources import Key
from sluice_engine.store.selectors import Selector, parse_selector

__all__ = [
    "ListQuery",
    "TimeLimit",
    "continue_token",
    "expired_token",
    "flag",
    "list_query",
    "number",
    "refuse_dry_run",
]

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
# As Go writes durations: https://pkg.go.dev/time#ParseDuration
_TERM = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list or watch asks for."""

    selector: Selector
    selective: bool
    limit: int
    version: int | None
    """None stands for "" and 0: the current version."""
    exact: bool
    after: tuple[str, str] | None
    watch: bool
    timeout: float | None
    bookmarks: bool
    initial_events: bool


def flag(request: web.Request, name: str) -> bool:
    """Return whether a parameter is true."""
    return request.query.get(name, "").lower() in {"1", "true"}


def number(request: web.Request, name: str) -> int:
    """Return a parameter that is a number, 0 without one.

    Raises:
        ApiError: 400, it does not parse.
    """
    text = request.query.get(name, "")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise bad_request(f"invalid value for {name}: {text!r}")
    return int(text)


def list_query(request: web.Request) -> ListQuery:
    """Read the query of a list or watch.

    Raises:
        ApiError: 400, a parameter does not parse.
    """
    labels = request.query.get("labelSelector", "")
    fields = request.query.get("fieldSelector", "")
    version: int | None = number(request, "resourceVersion") or None
    after = None
    match = request.query.get("resourceVersionMatch", "")
    if match not in {"", "Exact", "NotOlderThan"}:
        raise bad_request(f"resourceVersionMatch: unsupported value {match!r}")
    exact = match == "Exact"
    if token := request.query.get("continue", ""):
        if version is not None:
            raise bad_request("specifying resource version is not allowed when using continue")
        version, after = _read_token(token)
        exact = True
    return ListQuery(
        selector=parse_selector(labels, fields),
        selective=bool(labels or fields),
        limit=number(request, "limit"),
        version=version,
        exact=exact,
        after=after,
        watch=flag(request, "watch"),
        timeout=number(request, "timeoutSeconds") or None,
        bookmarks=flag(request, "allowWatchBookmarks"),
        initial_events=flag(request, "sendInitialEvents"),
    )


def continue_token(version: int, last: Key) -> str:
    """Return what the client sends to get the next page of the same list."""
    return base64.urlsafe_b64encode(encode([version, last.namespace, last.name])).decode()


def _read_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        version, namespace, name = decode(base64.urlsafe_b64decode(token))
        return int(version), (str(namespace), str(name))
    except (binascii.Error, ValueError, TypeError) as e:
        raise bad_request("continue key is not valid") from e


def expired_token() -> ApiError:
    """The version of the list was compacted: start the list again."""
    message = (
        "The provided continue parameter is too old to display a consistent list result. "
        "You can start a new list without the continue parameter."
    )
    return ApiError(410, "Expired", message)


def refuse_dry_run(request: web.Request) -> None:
    """Refuse options that would have no effect.

    Raises:
        ApiError: 400, dryRun was asked for.
    """
    if request.query.getall("dryRun", []):
        raise bad_request("dryRun is not supported by the local engine")


class TimeLimit:
    """The `timeout` of a request: how long after its arrival it may still be carried out.

    Raises:
        ApiError: 400, it is not a duration.
    """

    def __init__(self, request: web.Request) -> None:
        text = request.query.get("timeout", "")
        if text and not re.fullmatch(f"(?:{_TERM.pattern})+", text):
            raise bad_request(f"invalid timeout specified in the request URL: {text!r}")
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _TERM.findall(text))
        # 0 means the server's own limit, and this server has none.
        self._ends = asyncio.get_running_loop().time() + seconds if seconds else float("inf")

    def check(self) -> None:
        """Refuse a request whose time is over.

        Raises:
            ApiError: 504, the time has passed.
        """
        if asyncio.get_running_loop().time() >= self._ends:
            message = "Timeout: request did not complete within the allotted timeout"
            raise ApiError(504, "Timeout", message)

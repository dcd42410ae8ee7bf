"""The dead letters of the fake."""

import json
from datetime import UTC, datetime
from typing import Any

from sluice_client.fake_documents import RefusedError, json_answer
from sluice_client.fake_runs import FakeRuns
from sluice_client.transport import Answer, Call
from sluice_contracts.ids import RunKey, derive_run_id
from sluice_contracts.problems import ProblemType, problem
from sluice_contracts.requests import Command, read_request

__all__ = ["FakeLetters"]

_Json = dict[str, Any]


class FakeLetters:
    """Dead letters, and what was done with them."""

    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs
        self._letters: list[_Json] = []

    def add(self, value: str, kind: ProblemType, *, tenant: str) -> str:
        """Add a letter; return its id."""
        said = problem(kind, "The fake was asked to reject it.")
        number = len(self._letters)
        now = datetime.now(UTC).isoformat()
        letter: _Json = {
            "id": f"0-{number}",
            "state": "open",
            "reason": kind,
            "title": said.title,
            "detail": said.detail,
            "tenant": tenant,
            "run": None,
            "request": f"sluice.requests/0@{number}",
            "requested_at": now,
            "rejected_at": now,
            "size": len(value.encode()),
            "truncated": False,
            "decision": None,
            "links": {"self": f"/v1/dead-letters/0-{number}", "run": None},
            "problem": said.model_dump(mode="json"),
            "payload": {
                "key": None,
                "value": {"encoding": "utf-8", "data": value},
                "headers": [],
            },
        }
        self._letters.append(letter)
        return f"0-{number}"

    def answer(self, call: Call) -> Answer:
        """Answer a request about dead letters.

        Raises:
            RefusedError: it is not carried out.
            InvalidRequestError: what is to be replayed is not valid.
        """
        letter_id, _, verb = call.path.removeprefix("/v1/dead-letters").strip("/").partition("/")
        if not letter_id:
            return self._page(list(call.query))
        letter = next((each for each in self._letters if each["id"] == letter_id), None)
        if letter is None:
            raise RefusedError(ProblemType.NOT_FOUND, "There is no such dead letter.")
        if not verb:
            return json_answer(200, letter)
        if letter["state"] != "open":
            raise RefusedError(ProblemType.NOT_APPLICABLE, f"It is {letter['state']} already.")
        body = json.loads(call.body or b"{}")
        run = self._replay(letter, body.get("value")) if verb == "replay" else None
        shown = None if run is None else {"tenant": run.tenant, "id": run.run_id}
        letter["state"] = "replayed" if verb == "replay" else "dropped"
        letter["decision"] = {
            "by": "anonymous:fake",
            "at": datetime.now(UTC).isoformat(),
            "reason": body.get("reason"),
            "run": shown,
        }
        if run is not None:
            letter["links"]["run"] = f"/v1/runs/{run.run_id}"
        return json_answer(202, _in_list(letter))

    def _page(self, query: list[tuple[str, str]]) -> Answer:
        single = dict(query)
        before = int(single.get("cursor") or len(self._letters))
        states = {value for name, value in query if name == "state"}
        reasons = {value for name, value in query if name == "reason"}
        since, until = single.get("since"), single.get("until")
        found = [
            number
            for number, each in reversed(list(enumerate(self._letters)))
            if number < before
            and (not states or each["state"] in states)
            and (not reasons or each["reason"] in reasons)
            and single.get("tenant") in (None, each["tenant"])
            and (since is None or _moment(each["rejected_at"]) >= _moment(since))
            and (until is None or _moment(each["rejected_at"]) < _moment(until))
        ]
        page = found[: int(single.get("limit", "50"))]
        cursor = str(page[-1]) if len(found) > len(page) else None
        links = {"next": None if cursor is None else f"/v1/dead-letters?cursor={cursor}"}
        letters = [_in_list(self._letters[number]) for number in page]
        return json_answer(
            200,
            {"dead_letters": letters, "behind": [], "next_cursor": cursor, "links": links},
        )

    def _replay(self, letter: _Json, value: _Json | None) -> RunKey:
        # The id of the record is spent: by its rejection, or by the run that it belongs to.
        stated = None if value is None else value.get("id")
        try:
            document = json.loads(letter["payload"]["value"]["data"]) if value is None else value
        except ValueError:
            raise RefusedError(ProblemType.MALFORMED_JSON, "It is not JSON.") from None
        request = read_request(document)
        if isinstance(request, Command):
            key = RunKey(request.tenant, request.id)
            if key not in self._runs.runs:
                raise RefusedError(ProblemType.UNKNOWN_RUN, "There is no such run.")
            self._runs.command(self._runs.runs[key], request)
            return key
        workflows = self._runs.workflows
        if workflows is not None and request.workflow not in workflows:
            raise RefusedError(ProblemType.UNKNOWN_WORKFLOW, "The fake has no such workflow.")
        key = RunKey(request.tenant, stated or derive_run_id("dead letter", letter["id"]))
        self._runs.start(request.named(key.run_id), key)
        return key


def _in_list(letter: _Json) -> _Json:
    return {name: value for name, value in letter.items() if name not in ("problem", "payload")}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)

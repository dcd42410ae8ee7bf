"""The program of `helm test`, on a gateway with prepared answers."""

import json
import runpy
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.charts.rendering import CHART, Helm, Rendered

PROGRAM = CHART / "files/smoke.py"


class Gateway(ThreadingHTTPServer):
    """Answers each GET with the next of ``answers``, and repeats the last one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, object]] = []
        self.posted: list[dict[str, Any]] = []
        self.shown: list[str | None] = []
        self.refusals = 0
        self.post_status = 202

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        self.server.shown.append(self.headers["Authorization"])
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append(json.loads(body))
        if len(self.server.posted) <= self.server.refusals:
            self._answer(503, {})
        else:
            self._answer(self.server.post_status, {"phase": "Accepted"})

    def do_GET(self) -> None:
        assert self.path == f"/v1/runs/{self.server.posted[-1]['id']}"
        answers = self.server.answers
        self._answer(*(answers.pop(0) if len(answers) > 1 else answers[0]))

    def _answer(self, status: int, document: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def smoke(url: str, seconds: str = "30") -> str | int | None:
    """Run the program without its pauses; gives what it exits with."""
    main = runpy.run_path(str(PROGRAM))["main"]
    main.__globals__["PAUSE"] = 0
    with pytest.raises(SystemExit) as ended:
        main(url, seconds)
    return ended.value.code


def test_a_run_that_succeeds(gateway: Gateway) -> None:
    gateway.answers = [(200, {"phase": phase}) for phase in ("Accepted", "Running", "Succeeded")]
    assert smoke(gateway.url) == 0
    [run] = gateway.posted
    assert run["workflow"] == "hello"


@pytest.mark.parametrize("phase", ["Failed", "Error", "Rejected", "Expired", "Deleted"])
def test_a_run_that_does_not(gateway: Gateway, phase: str) -> None:
    gateway.answers = [(200, {"phase": phase})]
    assert phase in str(smoke(gateway.url))


def test_a_passing_answer_is_waited_out(gateway: Gateway) -> None:
    gateway.answers = [(404, {}), (503, {}), (429, {}), (200, {"phase": "Succeeded"})]
    assert smoke(gateway.url) == 0
    assert len(gateway.posted) == 1


def test_a_request_is_sent_until_it_is_accepted(gateway: Gateway) -> None:
    gateway.refusals = 2
    gateway.answers = [(200, {"phase": "Succeeded"})]
    assert smoke(gateway.url) == 0
    assert len({run["id"] for run in gateway.posted}) == 1
    assert len(gateway.posted) == 3


def test_a_refused_request_is_reported_at_once(gateway: Gateway) -> None:
    gateway.post_status = 422
    assert "422" in str(smoke(gateway.url))
    assert len(gateway.posted) == 1


def test_it_does_not_wait_forever(gateway: Gateway) -> None:
    gateway.answers = [(200, {"phase": "Running"})]
    assert "did not end within 0 s" in str(smoke(gateway.url, "0"))


@pytest.mark.parametrize(("key", "shown"), [("slk_a\n", "Bearer slk_a"), ("", None)])
def test_it_shows_the_key_that_it_was_given(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, key: str, shown: str | None
) -> None:
    monkeypatch.setenv("SLUICE_API_KEY", key)
    gateway.answers = [(200, {"phase": "Succeeded"})]
    assert smoke(gateway.url) == 0
    assert gateway.shown == [shown]


def test_nobody_there(gateway: Gateway) -> None:
    gateway.server_close()
    assert "did not end" in str(smoke("http://127.0.0.1:1", "0"))


@pytest.mark.charts
def test_the_job_runs_it_against_the_service(everything: Rendered) -> None:
    [job] = [
        each for each in everything.of("Job") if each["metadata"]["name"].endswith("-smoke-test")
    ]
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-c", PROGRAM.read_text(encoding="utf-8")]
    url, seconds = container["args"]
    service = everything.one("Service", url.removeprefix("http://").partition(":")[0])
    assert service["spec"]["ports"][0]["port"] == int(url.rpartition(":")[2])
    assert job["spec"]["activeDeadlineSeconds"] > int(seconds)
    assert container["image"] == everything.container("gateway")["image"]
    [shown] = container["env"]
    assert shown["valueFrom"]["secretKeyRef"] == {"name": "smoke-test", "key": "key"}
    hooks = job["metadata"]["annotations"]
    assert (hooks["helm.sh/hook"], hooks["argocd.argoproj.io/hook"]) == ("test", "PostSync")


@pytest.mark.charts
@pytest.mark.parametrize(("name", "jobs"), [("default", 0), ("tls", 1), ("everything", 1)])
def test_it_runs_where_it_has_a_key_or_needs_none(helm: Helm, name: str, jobs: int) -> None:
    rendered = helm.rendered(CHART / f"ci/{name}-values.yaml")
    names = [each["metadata"]["name"] for each in rendered.of("Job")]
    assert sum(each.endswith("-smoke-test") for each in names) == jobs

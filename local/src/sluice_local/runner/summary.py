"""The summary that is shown when everything is ready. Pure."""

from sluice_contracts.topics import TopicNames
from sluice_local.kafka import DEFAULT_VERSION
from sluice_local.runner.plan import Endpoints


def summary(endpoints: Endpoints, *, seconds: float) -> str:
    """Return a box with all addresses, followed by commands to copy."""
    topics = TopicNames()
    facts = [
        ("dashboard", endpoints.gateway_url),
        ("HTTP", f"{endpoints.gateway_url}/v1/runs"),
        ("Kafka", f"{endpoints.bootstrap_servers}  (Apache Kafka {DEFAULT_VERSION})"),
        ("topics", f"{topics.requests}  {topics.status}  {topics.results}  {topics.dlq}"),
        ("engine", _engine(endpoints)),
        ("kubeconfig", str(endpoints.kubeconfig)),
        *(
            (f"{each.name}", f"{endpoints.health_url(each.name)}/readyz")
            for each in endpoints.services
        ),
        ("data", str(endpoints.data_dir)),
        ("logs", str(endpoints.logs_dir)),
    ]
    return "\n".join(
        [
            "",
            *_box(f"Sluice is ready ({seconds:.1f} s)", facts),
            "",
            "Commands for another terminal: a run by HTTP, its events, a run by Kafka, all",
            "outcomes, and the word count of a book.",
            "",
            *_lines_to_copy(endpoints, topics),
            "",
            "Ctrl-C stops everything. The data stays until `make clean`.",
            "",
        ]
    )


def _engine(endpoints: Endpoints) -> str:
    if endpoints.cluster:
        return "the cluster of the kubeconfig"
    return f"{endpoints.engine_url}  (local engine, stands in for Kubernetes and Argo)"


def _lines_to_copy(endpoints: Endpoints, topics: TopicNames) -> list[str]:
    runs, servers = f"{endpoints.gateway_url}/v1/runs", endpoints.bootstrap_servers
    hello = '{"workflow":"hello","parameters":{"name":"Ada"}}'
    named = '{"id":"first","workflow":"hello","parameters":{"name":"Ada"}}'
    return [
        f"curl -i {runs} -H 'content-type: application/json' -d '{named}'",
        f"curl -N {runs}/first/events -H 'accept: text/event-stream'",
        f"echo '{hello}' | kcat -P -b {servers} -t {topics.requests}",
        f"kcat -C -u -b {servers} -t {topics.results}",
        f"make demo ARGS='--url {endpoints.gateway_url}'",
    ]


def _box(title: str, facts: list[tuple[str, str]]) -> list[str]:
    labels = max(len(label) for label, _ in facts)
    rows = [f" {label:<{labels}}  {text} " for label, text in facts]
    width = max(len(row) for row in rows)
    return [
        f"┌─ {title} " + "─" * (width - len(title) - 3) + "┐",
        *(f"│{row:<{width}}│" for row in rows),
        "└" + "─" * width + "┘",
    ]

"""How the command finds Sluice: options, environment, profiles, completion."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import AsyncMock, patch

import pytest
from typer.testing import CliRunner

from sluice_cli.adapters.connecting import over_http, over_kafka
from sluice_cli.app import app
from sluice_cli.domain.profiles import Connection, KafkaSecurity, Profile, connection_of
from sluice_cli.services.completing import parameters_of
from sluice_cli.session import Tools
from sluice_client.fake import FakeSluice
from tests.unit.cli.person import Person


class Connections:
    """Notes how Sluice was to be reached."""

    def __init__(self) -> None:
        self.seen: list[Connection] = []

    def types(self, *words: str, **environment: str) -> tuple[int, str]:
        tools = Tools(gateway=self._open)
        result = CliRunner().invoke(app, words, env=environment, obj=tools)
        return result.exit_code, result.stderr

    def _open(self, connection: Connection) -> FakeSluice:
        self.seen.append(connection)
        return FakeSluice()


def write(folder: Path, text: str, *, mode: int = 0o600) -> Path:
    file = folder / "sluice" / "config.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    file.chmod(mode)
    return file


PROFILES = """
profile = "local"
[profiles.local]
url = "http://localhost:9080"
[profiles.prod]
url = "https://sluice.example.com"
tenant = "acme"
token_file = "~/sluice-token"
"""


def test_a_profile_is_chosen_by_name_or_by_default(tmp_path: Path) -> None:
    write(tmp_path, PROFILES)
    connections, home = Connections(), {"XDG_CONFIG_HOME": str(tmp_path)}
    connections.types("list", **home)
    connections.types("list", "--profile", "prod", **home)
    connections.types("list", **home, SLUICE_PROFILE="prod", SLUICE_URL="http://other")
    connections.types("list", "--url", "http://typed", **home, SLUICE_URL="http://other")
    assert [(each.url, each.tenant) for each in connections.seen] == [
        ("http://localhost:9080", None),
        ("https://sluice.example.com", "acme"),
        ("http://other", "acme"),
        ("http://typed", None),
    ]
    assert connections.seen[1].token_file == "~/sluice-token"


def test_a_token_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    connections, home = Connections(), {"XDG_CONFIG_HOME": str(tmp_path)}
    connections.types("list", **home, SLUICE_TOKEN="slk_secret")
    connections.types("list", "--token-file", "/t", **home, SLUICE_TOKEN="slk_secret")
    assert [each.token for each in connections.seen] == ["slk_secret", "slk_secret"]
    assert [each.token_file for each in connections.seen] == [None, "/t"]
    code, said = connections.types("list", "--token", "slk_secret", **home)
    assert (code, "slk_secret" in said) == (2, False)


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_a_configuration_that_others_reach_is_refused(tmp_path: Path, mode: int) -> None:
    file = write(tmp_path, PROFILES, mode=mode)
    code, said = Connections().types("list", XDG_CONFIG_HOME=str(tmp_path))
    assert code == 2
    assert f"chmod 600 {file}" in said


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (None, ["--profile", "prod"], "There is no profile 'prod'"),
        (PROFILES, ["--profile", "test"], "has no profile 'test'; it has local, prod"),
        ("profile =", [], "cannot be used"),
        (PROFILES, ["--url", "ftp://a"], "must be like https://sluice.example.com"),
    ],
)
def test_a_connection_that_is_wrong_is_explained(
    tmp_path: Path, text: str | None, words: list[str], said: str
) -> None:
    if text is not None:
        write(tmp_path, text)
    result = CliRunner().invoke(app, ["list", *words], env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert result.exit_code == 2, result.output
    assert said in result.stderr


def test_what_needs_the_gateway_says_so(person: Person) -> None:
    result = person.types("list", "--kafka", "localhost:1")
    assert result.exit_code == 2
    assert "leave out --kafka" in result.stderr


def test_brokers_and_files_of_a_profile_are_used(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n", "utf-8")
    security = KafkaSecurity(
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_plain_username="ada",
        password_file=str(tmp_path / "password"),
    )
    found = connection_of(
        Profile(kafka="k:9092", topics={"requests": "in"}, kafka_security=security)
    )
    client = over_kafka(found)
    assert client._connection.topics.requests == "in"
    settings = client._connection._settings
    assert (settings["bootstrap_servers"], settings["sasl_plain_password"]) == ("k:9092", "secret")
    assert "secret" not in repr(client)


async def test_a_token_file_is_read_by_the_client(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("slk_secret\n", "utf-8")
    found = connection_of(Profile(token_file=str(tmp_path / "token")))
    async with over_http(found) as sluice:
        assert await sluice._caller._tokens.current() == "slk_secret"


def complete(person: Person, line: str) -> list[str]:
    """Press the tab key at the end of the line."""
    environment = {
        "_SLUICE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - (not line.endswith(" "))),
    }
    result = person.types(environment=environment)
    return result.output.split()


def test_workflows_are_completed(person: Person) -> None:
    assert complete(person, "sluice run ") == ["hello", "approval"]
    assert complete(person, "sluice run a") == ["approval"]


async def test_parameters_are_completed_with_what_they_mean() -> None:
    async with FakeSluice({"hello": None}) as sluice:
        found = await sluice.workflow("hello")
        schema = {"properties": {"name": {"description": "Who is greeted."}, "times": True}}
        entry = found.model_copy(update={"parameters": schema})
        with patch.object(sluice, "workflow", AsyncMock(return_value=entry)):
            assert await parameters_of(sluice, "hello") == [
                ("name=", "Who is greeted."),
                ("times=", ""),
            ]


def test_no_parameters_are_completed_without_a_workflow(person: Person) -> None:
    assert complete(person, "sluice run -p ") == []
    assert complete(person, "sluice run hello -p ") == []


def test_a_reader_that_has_had_enough_is_not_an_error(tmp_path: Path) -> None:
    environment = {**os.environ, "SLUICE_CLI_CONFIG": os.devnull}
    program = f"{sys.executable} -m sluice_cli open --print; echo $? >{tmp_path}/code"
    script = f"({program}) | true"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stderr == ""
    assert (tmp_path / "code").read_text().strip() == "0"


def test_nothing_is_completed_offline() -> None:
    environment = {
        **os.environ,
        "_SLUICE_COMPLETE": "complete_bash",
        "COMP_WORDS": "sluice run ",
        "COMP_CWORD": "2",
        "SLUICE_URL": "http://127.0.0.1:9",
    }
    result = CliRunner().invoke(app, [], prog_name="sluice", env=environment)
    assert result.output.split() == []


def test_a_token_of_several_lines_is_refused(person: Person) -> None:
    result = person.types("list", environment={"SLUICE_TOKEN": "slk_secret\nmore"})
    assert result.exit_code == 2
    assert "must be one line" in result.output
    assert "secret" not in result.output

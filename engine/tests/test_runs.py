"""Whole Workflows with real processes: what reaches a step, and what comes back."""

from typing import Any

import pytest

from engine.tests.workflows import (
    WorkflowClient,
    arguments,
    nodes,
    output,
    parameters,
    python,
    workflow,
)

NASTY = "{{workflow.name}} {{=1+1}} $(id) `id` \"'\\ \n\t é 😀 ;rm -rf /"


def script(source: str, **fields: Any) -> Any:
    return python("main", source, **fields)


def out(name: str = "o") -> Any:
    return {"parameters": [output(name, f"/tmp/{name}")]}


def show(expression: str) -> str:
    return f"import os, sys, pathlib; pathlib.Path('/tmp/o').write_text({expression})"


async def test_a_step_from_beginning_to_end(workflows: WorkflowClient) -> None:
    created = await workflows.submit(workflow(script("print('hi')")))
    assert "status" not in created
    done = await workflows.finished()
    status = done["status"]
    assert (status["phase"], status["progress"]) == ("Succeeded", "1/1")
    assert status["startedAt"] <= status["finishedAt"]
    assert status["conditions"] == [{"type": "Completed", "status": "True"}]
    assert done["metadata"]["labels"] == {
        "workflows.argoproj.io/phase": "Succeeded",
        "workflows.argoproj.io/completed": "true",
    }
    root = status["nodes"]["wf"]
    assert (root["type"], root["templateName"]) == ("Pod", "main")
    assert root["outputs"] == {"exitCode": "0"}


async def test_a_watcher_sees_it_without_a_status_first(workflows: WorkflowClient) -> None:
    async with workflows.api.watch(
        "apis/argoproj.io/v1alpha1/{ns}workflows", resourceVersion="1"
    ) as watch:
        await workflows.submit(workflow(script("")))
        events = [await watch.next() for _ in range(3)]
    phases = [event["object"].get("status", {}).get("phase") for event in events]
    assert phases == [None, "Running", "Succeeded"]


async def test_any_text_reaches_a_step_by_its_environment(workflows: WorkflowClient) -> None:
    template = script(show("os.environ['TEXT']"), inputs=["text"], outputs=out())
    done = await workflows.succeed(workflow(template, parameters={"text": NASTY}))
    assert parameters(done["status"]["nodes"]["wf"]) == {"o": NASTY}


async def test_any_text_reaches_a_step_by_a_raw_artifact(workflows: WorkflowClient) -> None:
    raw = {"name": "t", "path": "/in/t", "raw": {"data": "{{workflow.parameters.text}}"}}
    template = script(
        "import pathlib; pathlib.Path('/tmp/o').write_bytes(pathlib.Path('/in/t').read_bytes())",
        inputs_extra={"artifacts": [raw]},
        outputs=out(),
    )
    text = NASTY + "x" * 300_000
    done = await workflows.succeed(workflow(template, parameters={"text": text}))
    assert parameters(done["status"]["nodes"]["wf"]) == {"o": text}


async def test_a_container_gets_arguments_without_a_shell(workflows: WorkflowClient) -> None:
    source = "import sys, pathlib; pathlib.Path('/tmp/o').write_text('|'.join(sys.argv[1:]))"
    template = {
        "name": "main",
        "container": {"image": "any", "command": ["python3", "-c", source], "args": ["$HOME", 3]},
        "outputs": out(),
    }
    done = await workflows.succeed(workflow(template))
    assert parameters(nodes(done)["wf"]) == {"o": "$HOME|3"}


async def test_a_program_that_is_not_python(workflows: WorkflowClient) -> None:
    template = {
        "name": "main",
        "container": {
            "image": "busybox",
            "command": ["sh", "-c", 'mkdir /out && printf "$X" > /out/o'],
        },
        "outputs": {"parameters": [output("o", "/out/o")]},
    }
    template["container"]["env"] = [{"name": "X", "value": "y"}]  # type: ignore[index]
    done = await workflows.succeed(workflow(template))
    assert parameters(nodes(done)["wf"]) == {"o": "y"}


async def test_nothing_of_the_engine_s_environment_leaks(
    workflows: WorkflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    template = script(show("' '.join(sorted(os.environ))"), outputs=out())
    done = await workflows.succeed(workflow(template))
    found = set(parameters(nodes(done)["wf"])["o"].split())
    assert found <= {"HOME", "LANG", "LC_CTYPE", "PATH", "SLUICE_LOCAL_ENGINE", "TMPDIR"}


async def test_the_end_of_a_step_that_fails(workflows: WorkflowClient) -> None:
    done = await workflows.run(workflow(script("raise SystemExit(3)")))
    assert done["status"]["phase"] == "Failed"
    assert done["status"]["message"] == "main: Error (exit code 3)"
    assert nodes(done)["wf"]["outputs"] == {"exitCode": "3"}


async def test_a_program_that_does_not_exist(workflows: WorkflowClient) -> None:
    template = {"name": "main", "container": {"image": "x", "command": ["/no/such/program"]}}
    done = await workflows.run(workflow(template))
    assert done["status"]["phase"] == "Failed"
    assert "StartError (exit code 128)" in done["status"]["message"]


async def test_an_environment_that_linux_refuses(workflows: WorkflowClient) -> None:
    template = script("", inputs=["text"])
    done = await workflows.run(workflow(template, parameters={"text": "x" * 140_000}))
    assert "Argument list too long" in done["status"]["message"]


async def test_an_output_that_is_not_there(workflows: WorkflowClient) -> None:
    done = await workflows.run(workflow(script("", outputs=out())))
    assert done["status"]["phase"] == "Error"
    assert "open /tmp/o: no such file" in done["status"]["message"]


async def test_an_output_with_a_default(workflows: WorkflowClient) -> None:
    outputs = {"parameters": [output("o", "/tmp/o")]}
    outputs["parameters"][0]["valueFrom"]["default"] = "none"
    done = await workflows.succeed(workflow(script("", outputs=outputs)))
    assert parameters(nodes(done)["wf"]) == {"o": "none"}


async def test_one_newline_is_taken_off_an_output(workflows: WorkflowClient) -> None:
    done = await workflows.succeed(workflow(script(show(r"'a\n\n'"), outputs=out())))
    assert parameters(nodes(done)["wf"]) == {"o": "a\n"}


async def test_global_outputs_are_those_of_the_workflow(workflows: WorkflowClient) -> None:
    outputs = {"parameters": [output("o", "/tmp/o", globalName="answer")]}
    done = await workflows.succeed(workflow(script(show("'42'"), outputs=outputs)))
    assert done["status"]["outputs"] == {"parameters": [{"name": "answer", "value": "42"}]}


async def test_empty_dir_volumes_and_the_working_dir(workflows: WorkflowClient) -> None:
    template = script(
        "import os, pathlib\n"
        "pathlib.Path('/scratch/x').write_text('1')\n"
        "where = os.getcwd()[-5:] + os.path.realpath('/scratch/x')[-10:]\n"
        "pathlib.Path('/tmp/o').write_text(where)",
        outputs=out(),
    )
    template["script"] |= {
        "workingDir": "/desk",
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    }
    volumes = [{"name": "scratch", "emptyDir": {}}]
    done = await workflows.succeed(workflow(template, volumes=volumes))
    assert parameters(nodes(done)["wf"]) == {"o": "/desk/scratch/x"}


async def test_a_result_keeps_its_last_256_kib(workflows: WorkflowClient) -> None:
    loud = python("loud", "print('a' * 2_000_000 + 'b' * 9)")
    # Too long for one environment string, so it is read from a file.
    raw = {"name": "m", "path": "/in/m", "raw": {"data": "{{inputs.parameters.m}}"}}
    read = python(
        "read",
        "import pathlib; text = pathlib.Path('/in/m').read_text()\n"
        "pathlib.Path('/tmp/o').write_text(f'{len(text)} {text[-10:]}')",
        outputs=out(),
    )
    read["inputs"] = {"parameters": [{"name": "m"}], "artifacts": [raw]}
    given = arguments(m="{{steps.loud.outputs.result}}")
    second = {"name": "read", "template": "read", "arguments": given}
    main = {"name": "main", "steps": [[{"name": "loud", "template": "loud"}], [second]]}
    done = await workflows.succeed(workflow(main, loud, read))
    assert parameters(nodes(done)["read"]) == {"o": "262144 abbbbbbbbb"}

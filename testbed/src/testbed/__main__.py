"""Build the real dependencies of Sluice, and run them on this computer.

These are Kubernetes, Argo Workflows, Apache Kafka, an S3-compatible store and a node that runs
pods. They are built from the Go module proxy, Maven, PyPI and Debian's packages, without an image
registry. They run in namespaces of their own: after `down`, no process, mount, network interface or
firewall rule is left.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from testbed.calling import call, command_of
from testbed.docker.command import run_with_docker, show_images
from testbed.docker.host import DockerHost
from testbed.docker.images import Images
from testbed.errors import Terminated, TestbedError
from testbed.folders import Folders, default_folders
from testbed.requirements import debian_packages
from testbed.stock import Stock
from testbed.testbed import Testbed
from testbed.versions import load_versions

_RULES = Path("helm/sluice/rules")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    # The rest belongs to kubectl, including options.
    own = words[:1] if words[:1] == ["kubectl"] else words
    given = _parser().parse_args(own)
    if own is not words:
        given.words = words[1:]
    try:
        command: Callable[[argparse.Namespace], int] = given.command
        return command(given)
    except TestbedError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _interrupt(*_: object) -> None:
    raise Terminated


def _testbed() -> Testbed:
    if not _RULES.is_dir():
        raise TestbedError(
            f"There is no {_RULES} here.", way_out="Run this command in the folder of Sluice."
        )
    return Testbed(default_folders(), load_versions(), rules=_RULES)


def _say(line: str) -> None:
    print(line, flush=True)


def _build(given: argparse.Namespace) -> int:
    testbed = _testbed()
    _say(f"Building into {testbed.folders.cache}")
    testbed.build(line=given.argo, say=_say)
    _say("Everything is built. `python -m testbed up` starts the testbed.")
    return 0


def _up(given: argparse.Namespace) -> int:
    testbed = _testbed()
    testbed.build(line=given.argo, say=lambda _: None)
    _say("Starting")
    testbed.up(line=given.argo, say=_say)
    _say(
        f"\nReady.\n"
        f"  kubectl:  {testbed.kubectl().program} --kubeconfig={testbed.kubeconfig()}\n"
        f"  Sluice:   make run ENGINE=testbed\n"
        f"  stop:     python -m testbed down"
    )
    return 0


def _run(given: argparse.Namespace) -> int:
    words, testbed = command_of(given.words), _testbed()
    if testbed.line() == given.argo:
        return call(words)
    _up(given)
    try:
        return call(words)
    finally:
        testbed.down(say=_say)
        _say("The testbed is removed.")


def _down(_: argparse.Namespace) -> int:
    # Both: a killed command may have left a Docker.
    try:
        docker = DockerHost(default_folders().docker).end()
    finally:
        testbed = _testbed().down(say=_say)
    _say("The testbed is removed." if docker or testbed else "There was no testbed.")
    return 0


def _status(_: argparse.Namespace) -> int:
    processes = _testbed().processes()
    names = processes.names()
    for name in names:
        _say(f"  {name:28}{'runs' if processes.runs(name) else 'ended'}")
    return 0 if all(map(processes.runs, names)) else 1


def _logs(given: argparse.Namespace) -> int:
    folders: Folders = default_folders()
    if given.program is None:
        for log in sorted(folders.logs.glob("*.log")):
            _say(f"  {log.stem:28}{log}")
        return 0
    log = folders.logs / f"{given.program}.log"
    if not log.exists():
        raise TestbedError(
            f"{given.program} has no log.",
            way_out="`python -m testbed logs` lists the programs that have one.",
        )
    return call(["tail", "-n", "200", *(["-f"] if given.follow else []), str(log)])


def _kubectl(given: argparse.Namespace) -> int:
    testbed = _testbed()
    testbed.processes()
    kubectl = testbed.kubectl()
    return call([str(kubectl.program), f"--kubeconfig={kubectl.kubeconfig}", *given.words])


def _kubeconfig(_: argparse.Namespace) -> int:
    testbed = _testbed()
    testbed.processes()
    _say(str(testbed.kubeconfig()))
    return 0


def _program(given: argparse.Namespace) -> int:
    folders, versions = default_folders(), load_versions()
    _say(str(Stock(versions, cache=folders.cache).program(given.part, given.program or given.part)))
    return 0


def _images(_: argparse.Namespace) -> int:
    show_images(Images(default_folders(), load_versions(), repository=Path()), say=_say)
    return 0


def _docker(given: argparse.Namespace) -> int:
    folders, versions = default_folders(), load_versions()
    images = Images(folders, versions, repository=Path())
    words = command_of(given.words)
    return run_with_docker(words, folders=folders, versions=versions, images=images, say=_say)


def _packages(_: argparse.Namespace) -> int:
    _say(" ".join(debian_packages()))
    return 0


def _lock(_: argparse.Namespace) -> int:
    _testbed().lock(say=_say)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m testbed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, command: Callable[[argparse.Namespace], int], what: str
    ) -> argparse.ArgumentParser:
        adding = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        adding.set_defaults(command=command)
        return adding

    versions = load_versions()
    build = add(
        "build",
        _build,
        "build the parts that are not in the cache (about 30 minutes on 2 cores, once)",
    )
    up = add("up", _up, "start everything, with one line of Argo Workflows")
    run = add(
        "run", _run, "run a command on a testbed; a running one stays up, else start and remove one"
    )
    for adding in (build, up, run):
        adding.add_argument(
            "--argo",
            default=versions.argo_lines[0],
            choices=versions.argo_lines,
            help="line of Argo Workflows (default: %(default)s)",
        )
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    add("down", _down, "stop everything and remove its data")
    add("status", _status, "show which programs run")
    logs = add("logs", _logs, "show the end of a program's log, or list all logs")
    logs.add_argument("program", nargs="?", help="a name that `status` shows")
    logs.add_argument("-f", "--follow", action="store_true", help="follow the log until Ctrl-C")
    add("kubeconfig", _kubeconfig, "print the path of the administrator's kubeconfig")
    add("kubectl", _kubectl, "run kubectl as the administrator of the cluster")
    program = add("program", _program, "print the path of a built program")
    program.add_argument("part", choices=versions.go, help="a name in versions.toml")
    program.add_argument(
        "program", nargs="?", help="program of the part (default: the one with the part's name)"
    )
    add("images", _images, "build the images of Sluice, and show what each adds to its base")
    docker = add(
        "docker", _docker, "run a command with a Docker daemon of its own that has the images"
    )
    docker.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    add("packages", _packages, "print the Debian packages that the testbed needs, for apt install")
    add("lock", _lock, "write go.mod and go.sum of all parts from versions.toml")
    return parser


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    sys.exit(main())

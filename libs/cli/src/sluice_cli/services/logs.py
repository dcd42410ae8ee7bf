"""Shows the logs of a run's steps: of one, or of all that run pods."""

from sluice_cli.domain.exit_codes import ExitCode
from sluice_cli.domain.log_sources import StepsOfRun, plans_one_pod, unknown_source
from sluice_cli.ports import Screen, Session
from sluice_cli.services.following import graph_of
from sluice_cli.services.log_following import appearance, follow_all
from sluice_cli.services.log_reading import LogPart, LogReader
from sluice_client import RunDocument, Sluice

__all__ = ["show_logs"]


async def show_logs(
    sluice: Sluice, session: Session, *, run_id: str, step: str | None, part: LogPart
) -> ExitCode:
    """Show the log of a step, or those of all that have one.

    Raises:
        SluiceError: the step has no log, or one cannot be read.
    """
    run, screen = sluice.run(run_id), session.screen
    reader = LogReader(run, screen, part=part)
    seen = await run.state()
    steps = StepsOfRun()
    sources = steps.apply(seen)
    live = part.follow and not seen.terminal
    if step is not None:
        source = steps.find(step)
        if source is None and live:
            source = await appearance(run, steps, step, seen=seen)
        await reader.show(source or unknown_source(step))
        found = True
    elif live:
        named = not plans_one_pod(await graph_of(sluice, seen.workflow))
        found = await follow_all(run, steps, reader, screen, seen=seen, named=named)
    else:
        named = len(sources) > 1
        found = any([await reader.show_if_any(each, named=named) for each in sources])
    if step is None:
        _say_what_is_missing(screen, steps, seen)
    if reader.cut:
        screen.note(f"{reader.cut} lines were too long, and lack their ends.")
    return ExitCode.SUCCESS if found else ExitCode.NOT_APPLICABLE


def _say_what_is_missing(screen: Screen, steps: StepsOfRun, seen: RunDocument) -> None:
    for shown, reason in steps.without_logs():
        screen.note(f"{shown}: {reason}")
    if seen.truncated and not seen.steps:
        screen.note("The state of the run leaves out its steps, so none can be listed: name one.")
    elif not steps.sources():
        screen.note(f"Run {seen.id} has no step that runs a pod{'' if seen.terminal else ' yet'}.")

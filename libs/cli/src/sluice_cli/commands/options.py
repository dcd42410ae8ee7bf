"""Arguments and options that several commands have."""

from typing import Annotated, Literal, TypeAlias

import typer

from sluice_cli.commands.completing import parameter_names, workflow_names

__all__ = [
    "ExpiresOption",
    "FilterLabels",
    "FilterPhases",
    "FilterSince",
    "FilterText",
    "FilterUntil",
    "FilterWorkflow",
    "IdOption",
    "KeysFileOption",
    "LabelsOption",
    "LimitOption",
    "ParametersOption",
    "Priority",
    "PriorityOption",
    "ReasonOption",
    "RunArgument",
    "RunsArgument",
    "StepOption",
    "TimeoutOption",
    "WaitOption",
    "WatchOption",
    "WorkflowArgument",
]


Priority: TypeAlias = Literal["high", "normal", "low"]
RunArgument: TypeAlias = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]
RunsArgument: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="RUN", help="Ids of the runs.")
]
WorkflowArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="WORKFLOW", help="Entry of the catalogue.", autocompletion=workflow_names
    ),
]

IdOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--id", metavar="ID", help="Id of the run: the same one never starts a second."),
]
ParametersOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        metavar="NAME=VALUE",
        help="Parameter: NAME=VALUE, NAME=@FILE, NAME=@- (standard input) or NAME:=JSON.",
        autocompletion=parameter_names,
    ),
]
LabelsOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", metavar="NAME=VALUE", help="Label of the run."),
]
PriorityOption: TypeAlias = Annotated[
    Priority | None, typer.Option(help="Which of the tenant's runs start first.")
]
ExpiresOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--expires-in", metavar="SPAN", help="Do not start it after this time, as in 2h."),
]
WatchOption: TypeAlias = Annotated[
    bool, typer.Option("--watch", help="Show its steps until it is over.")
]
WaitOption: TypeAlias = Annotated[
    bool, typer.Option("--wait", help="Wait until it is over, and show nothing on the way.")
]
TimeoutOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="SPAN", help="Follow it no longer than this, as in 90s or 5m."),
]
ReasonOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Why, for the events and the audit.")
]
StepOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="STEP", help="Id or name of a step.")
]

FilterWorkflow: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--workflow", "-w", metavar="NAME", help="Of this workflow.", autocompletion=workflow_names
    ),
]
FilterPhases: TypeAlias = Annotated[
    list[str] | None, typer.Option("--phase", metavar="PHASE", help="In this phase; repeatable.")
]
FilterLabels: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--label", "-l", metavar="NAME=VALUE", help="With the label, or NAME!=VALUE; repeatable."
    ),
]
FilterSince: TypeAlias = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Accepted since then: 2h, or a time (RFC 3339)."),
]
FilterUntil: TypeAlias = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Accepted before then.")
]
FilterText: TypeAlias = Annotated[
    str | None, typer.Option("--text", "-q", metavar="TEXT", help="With this text in the id.")
]
LimitOption: TypeAlias = Annotated[
    int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many, the newest.")
]

KeysFileOption: TypeAlias = Annotated[
    str, typer.Option("--file", "-f", metavar="FILE", help="The file of keys.")
]

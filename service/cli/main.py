"""`rebalance …`: the command line. Loads only what the command at hand needs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NoReturn

from service.cli.again.options import add_again_options, add_reuse_option, add_sweep_extend_options
from service.cli.dataset_options import add_dataset_options
from service.cli.experiment_options import add_experiment_options, add_whose
from service.cli.failure import fail
from service.cli.instance.options import INSTANCE_COMMANDS
from service.cli.keeping.options import KEEPING_COMMANDS, add_keeping_commands_options
from service.cli.option_types import identifier
from service.cli.report_options import add_report_options
from service.cli.tokens import add_token_actions
from service.cli.trained.options import add_trained_options, contradiction
from service.shared.followup_ids import is_followup_id
from sweeps.document.preset_options import add_preset_options, preset_names
from trainer.base.commands import positive
from trainer.base.ends import ExitCode
from trainer.base.errors import RegionRebalanceError
from trainer.base.text import make_streams_printable, printable_lines
from trainer.data import count_options
from trainer.weights import options as weights_options

if TYPE_CHECKING:
    from service.client.client import ApiError

_ENDS = """exit codes: {DONE} done; {FAILED} the experiment or the service failed; {BAD_INPUT} bad input;
            {UNREACHABLE} the API cannot be reached; {INTERRUPTED} interrupted""".format_map(
    ExitCode.__members__
)
# Each command: the function that does it, as `module:name` in this folder, and what it is for.
_API_COMMANDS = {
    "submit": ("experiments:submit", "store an experiment and start it"),
    "list": ("experiments:list_", "experiments, newest first"),
    "show": ("running.showing:show", "one experiment and what happened to it"),
    "logs": ("experiments:logs", "the log of an experiment's job"),
    "watch": ("watching:watch", "a table of experiments that is kept up to date, to their end"),
    "queue": ("watching:queue", "what waits, in which order, and why"),
    "quotas": ("watching:quotas", "what users and projects hold, of what they may"),
    "compare": ("experiments:compare", "completed experiments side by side; the first is the reference"),
    "report": ("reports:report", "figures and tables of experiments, or of a sweep, as one HTML file"),
    "cancel": ("experiments:cancel", "ask an experiment to stop"),
    "pause": ("running.pausing:pause", "let an experiment rest, from its next checkpoint on"),
    "resume": ("running.pausing:resume", "go on with one that is paused"),
    "retry": ("experiments:retry", "another attempt at one that failed or was cancelled"),
    "extend": ("again.commands:extend", "further iterations of an experiment that completed, as a new one"),
    "track": (
        "again.track:track",
        "send all that experiments have measured, or a sweep's table, to MLflow again",
    ),
    "evaluate": ("trained.followups:evaluate", "score a checkpoint again: in other modes, on other data"),
    "evaluations": ("trained.followups:evaluations", "an experiment's evaluations, newest first"),
    "checkpoints": ("trained.checkpoints:checkpoints", "an experiment's checkpoints: list, download, prune"),
    "reproduce": ("sweeps:reproduce", "a table of the paper on your data, beside the paper's numbers"),
    "datasets": ("catalogue:datasets", "the data sets a spec can name"),
    "models": ("catalogue:models", "the models a spec can name"),
    "methods": ("catalogue:methods", "the methods a spec can name"),
}
# Those that run a model on this machine, and ask the API only for the checkpoint of an experiment.
_LOCAL_COMMANDS = {
    "predict": ("trained.checkpoints:predict", "label pictures, of several experiments side by side"),
    "export": ("trained.checkpoints:export", "a checkpoint in other programs' formats"),
}
_OF_EITHER = ("show", "logs", "cancel", "retry")  # take the id of an experiment or of a follow-up
_SWEEP_COMMANDS = {
    "submit": ("sweeps:submit", "store a sweep and start it"),
    "list": ("sweeps:list_", "sweeps, newest first"),
    "show": ("sweeps:show", "one sweep and its trials"),
    "table": ("sweeps:table", "what a sweep has measured so far"),
    "watch": ("sweeps:watch", "follow a sweep to its end, then print its table"),
    "cancel": ("sweeps:cancel", "ask a sweep to stop"),
    "pause": ("sweeps:pause", "start no more trials; those that run finish"),
    "resume": ("sweeps:resume", "start trials again"),
    "extend": ("again.commands:extend_sweep", "more seeds, values or draws of one that completed"),
}
# Commands that are programs of the trainer, and take its flags.
_PROGRAMS = {
    "frequencies": ("trainer.count", count_options),
    "weights": ("trainer.weights", weights_options),
}
_FORMATS = ("json", "markdown", "csv", "latex")


class _Parser(argparse.ArgumentParser):
    """One line for a mistake, instead of the usage in full."""

    def error(self, message: str) -> NoReturn:
        self.exit(ExitCode.BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code."""
    words = sys.argv[1:] if argv is None else argv
    make_streams_printable()
    args = build_parser().parse_args(words)
    if args.command in _PROGRAMS:
        # -P: a trainer.py or trainer/ where somebody stands is not ours
        _become([sys.executable, "-P", "-m", _PROGRAMS[args.command][0], *words[1:]])
    make_streams_printable(utf8=args.json)
    if (mistake := _contradiction(args)) is not None:
        return fail(mistake, ExitCode.BAD_INPUT)
    run: Callable[[argparse.Namespace], int] = args.func
    try:
        return run(args)
    except RegionRebalanceError as error:
        return fail(str(error), ExitCode.FAILED)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has gone: nothing to complain about
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE


def _become(command: list[str]) -> NoReturn:
    """Another program in this process's place: its signals, terminal and exit code are its own."""
    os.execv(command[0], command)


def _call(function: str, *arguments: Any) -> int:
    """Exit code of a command's `function`, given as `module:name` and loaded only now."""
    code: int = resolve_name(f"service.cli.{function}")(*arguments)
    return code


def _ask(function: str, args: argparse.Namespace) -> int:
    """A command that only asks the API: `function` does it, of a follow-up its namesake."""
    from service.cli import experiments
    from service.client.client import RebalanceClient

    if args.command in _OF_EITHER and is_followup_id(args.id):
        function = f"trained.followups:{args.command}"

    def act() -> int:
        with RebalanceClient(experiments.api_of(args)) as client:
            return _call(function, args, client)

    return _told(args, act)


def _locally(function: str, args: argparse.Namespace) -> int:
    """A command that may ask the API, and does the rest here."""
    return _told(args, lambda: _call(function, args))


def _told(args: argparse.Namespace, act: Callable[[], int]) -> int:
    """Its exit code; where the API refuses or is not there, that is said."""
    from service.cli import experiments
    from service.client.client import ApiError, ApiUnreachable
    from service.client.own_token import TokenRefused
    from service.shared.network.proxies import ProxyRefused

    try:
        return act()
    except ApiUnreachable as error:
        return fail(str(error), ExitCode.UNREACHABLE)
    except (experiments.BadArgument, ProxyRefused, TokenRefused) as error:
        return fail(str(error), ExitCode.BAD_INPUT)
    except ApiError as error:
        if args.json:
            print(error.problem.model_dump_json(), file=sys.stderr)
        else:
            print(printable_lines(_where(args, error) + "\n".join(error.lines())), file=sys.stderr)
        return ExitCode.BAD_INPUT if error.status < 500 else ExitCode.FAILED


def _contradiction(args: argparse.Namespace) -> str | None:
    """Which options cannot be meant together, None if all can: none is silently left aside."""
    given = vars(args)
    form = given.get("format")
    if form is not None and not given.get("wait", True):
        return "--format: formats the table, which only --wait prints; allowed: with --wait"
    if args.json and form not in (None, "json"):
        return f"--format {form}: contradicts --json; allowed: one of them"
    if given.get("validate_only") and given.get("idempotency_key") is not None:
        return "--idempotency-key: --validate-only stores nothing; allowed: one of them"
    if given.get("validate_only") and given.get("reuse"):
        return "--reuse: --validate-only stores nothing; allowed: one of them"
    if args.json and given.get("scores") is not None:
        return "--scores: is for the terminal; allowed: without --json, which has all of them"
    if args.command == "sweep" and given.get("classes") and (args.json or form is not None):
        return "--classes: is for the terminal; allowed: without --json and --format, which list all classes"
    return contradiction(given)


def _where(args: argparse.Namespace, error: ApiError) -> str:
    """The file, where the mistake is none of a field that the problem names."""
    of_file = error.problem.type.endswith((":malformed-document", ":body-too-large"))
    return f"{args.spec}: " if of_file and getattr(args, "spec", "-") != "-" else ""


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = _Parser(
        prog="rebalance",
        description="Train and compare long-tailed semantic segmentation experiments.",
        epilog=_ENDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    added = {
        name: _api_command(commands, name, *about)
        for name, about in {**_API_COMMANDS, **KEEPING_COMMANDS}.items()
    }
    for name, about in _LOCAL_COMMANDS.items():
        added[name] = _api_command(commands, name, *about, ask=_locally)
    add_trained_options(added)
    add_experiment_options(added)
    add_again_options(added)
    add_keeping_commands_options(added)
    add_report_options(added["report"])
    _reproduce(added["reproduce"])
    _recipes(commands.add_parser("recipes", help="the paper's rows, which a spec can name"))
    _sweep(commands.add_parser("sweep", help="grids and searches of experiments"))
    for name, (_, program) in _PROGRAMS.items():
        program.add_options(commands.add_parser(name, help=program.ABOUT, description=program.ABOUT))
    add_token_actions(commands.add_parser("token", help="who may ask the API"), _ask, _Parser)
    for name, (function, text, options) in INSTANCE_COMMANDS.items():
        command = commands.add_parser(name, help=text)
        command.set_defaults(func=partial(_call, function))
        options(command)
    return parser


def _api_command(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    function: str,
    text: str,
    ask: Callable[[str, argparse.Namespace], int] = _ask,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(func=partial(ask, function))
    parser.add_argument("--api", metavar="URL", help="the API's address; or REBALANCE_API")
    parser.add_argument("--data-dir", metavar="DIR", help="of a running `rebalance serve`: its API")
    if ask is _ask:
        parser.add_argument("--json", action="store_true", help="machine-readable output")
    else:  # what is printed is the program's
        parser.set_defaults(json=False)
    return parser


def _sweep(parser: _Parser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=_Parser)
    added = {name: _api_command(actions, name, *about) for name, about in _SWEEP_COMMANDS.items()}
    added["submit"].add_argument("spec", metavar="SPEC.json", help="the sweep's file; - for stdin")
    either = added["submit"].add_mutually_exclusive_group()
    either.add_argument("--validate-only", action="store_true", help="only list trials and cost")
    either.add_argument("--wait", action="store_true", help="stay for its table")
    add_reuse_option(added["submit"], "document")
    added["submit"].add_argument("--idempotency-key", metavar="KEY", help="the same key stores it only once")
    added["list"].add_argument("--state", action="append", default=[], help="only this; repeat for more")
    add_whose(added["list"])
    added["list"].add_argument("--limit", type=positive, default=50, help="how many at most (50)")
    for name in ("show", "table", "watch", "cancel", "pause", "resume"):
        added[name].add_argument("id", metavar="ID", type=identifier)
    add_sweep_extend_options(added["extend"])
    for name in ("submit", "table", "watch", "extend"):
        added[name].add_argument("--format", choices=_FORMATS, help="of the table, for a file")
    added["table"].add_argument("--classes", action="store_true", help="also IoU class by class")


def _reproduce(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", metavar="PRESET", help=preset_names())
    parser.add_argument("--dataset", metavar="NAME", help="see `rebalance datasets` (the table's)")
    parser.add_argument("--model", metavar="NAME", help="see `rebalance models` (the table's rows)")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--validate-only", action="store_true", help="only list trials and cost")
    either.add_argument("--format", choices=_FORMATS, help="of the table, for a file")
    add_preset_options(parser)
    add_dataset_options(parser)


def _recipes(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(func=partial(_call, "catalogue:recipes"))
    parser.add_argument("name", metavar="NAME", nargs="?", help="all about this one")
    parser.add_argument("--json", action="store_true", help="machine-readable output")

"""The command `goalcut`: settings in, steps run, one clear line where something is wrong."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

COMMANDS = {
    "run": "all of it: train, evaluate, analyze, ablate, report",
    "train": "train an agent with every gradient on record",
    "evaluate": "measure exactly what it does on held-out levels",
    "analyze": "find directions by when they were trained",
    "ablate": "cut them out, beside controls",
    "lens": "look at a trained network through other lenses, and compare them",
    "report": "write report.html and print a summary",
    "logs": "write a run's records for TensorBoard, W&B or as CSV",
    "mnist": "the baseline: the same for a classifier of MNIST",
    "play": "walk the mazes of a world with the keys",
    "levels": "look at the levels of a world, and count them",
    "procgen": "all of it in Procgen's own maze",
    "study": "answer a question over seeds, with a report",
}
_LENSES = {
    "ansatz": "does WᵀW follow the average gradient outer product of its layer?",
    "curvature": "how steep is the loss, along how many directions?",
    "features": "do orthogonal features of layers mean more than neurons?",
    "rotation": "in which basis do layers act sparsely on one another?",
    "channels": "through how many channels does an early layer act on a late one?",
    "compare": "cut the directions of every lens that was run, beside controls",
    "residual-stream": "the channels of a causal transformer, given as a folder",
}
_LENS_USAGE = """usage: goalcut lens LENS RUN_DIRECTORY|MODEL_DIRECTORY [settings]

{commands}

Each lens's settings:   goalcut lens LENS --help
What each claims:       docs/lenses.md
"""
_USAGE = """usage: goalcut COMMAND RUN_DIRECTORY|WORLD|STUDY [settings]

Find when a goal was learned, and cut it out.

{commands}

A first try, in a few minutes:   goalcut run runs/demo
Each command's settings:         goalcut COMMAND --help
`goalcut run` can be repeated: what is done is not done again, and a killed training goes on.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; exits with 0, 1 (something failed) or 2 (a setting is wrong)."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    listing = "\n".join(f"  {name:<10}{what}" for name, what in COMMANDS.items())
    if not argv or argv[0] in ("-h", "--help"):
        print(_USAGE.format(commands=listing))
        sys.exit(0 if argv else 2)
    if argv[0] not in COMMANDS:
        _fail(2, f"command is {argv[0]!r}: give one of {', '.join(COMMANDS)}")
    if argv[0] == "lens":
        code = _guarded(lambda: _dispatch_lens(argv[1:]), argv)
    else:
        code = _guarded(lambda: _dispatch(argv[0], argv[1:]), argv)
    if arguments is None:  # all is done and said: a Ctrl-C from now on has nothing to stop
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def _dispatch_lens(argv: list[str]) -> None:
    if not argv or argv[0] in ("-h", "--help"):
        listing = "\n".join(f"  {name:<17}{what}" for name, what in _LENSES.items())
        print(_LENS_USAGE.format(commands=listing))
        sys.exit(0 if argv else 2)
    if argv[0] not in _LENSES:
        from .parsing import UsageError

        raise UsageError(f"lens is {argv[0]!r}: give one of {', '.join(_LENSES)}")
    from .lens_settings import LENS_COMMANDS
    from .parsing import parse
    from .residual_settings import NAME, ResidualStreamCommand

    kinds: dict[str, Any] = LENS_COMMANDS | {NAME: ResidualStreamCommand}
    command = parse(kinds[argv[0]], argv[1:], f"goalcut lens {argv[0]}")

    from ..agents.allocator import keep_freed_memory
    from . import lens_steps

    keep_freed_memory()
    if argv[0] == NAME:
        from .residual_steps import residual_step

        residual_step(command)
    elif argv[0] == "compare":
        lens_steps.compare_step(command)
    else:
        lens_steps.lens_step(argv[0], command)


def _dispatch(name: str, argv: list[str]) -> None:
    from ..agents.training_logs import check_logs
    from . import settings as s
    from . import world_settings as w
    from .parsing import UsageError, as_typed, parse
    from .presets import named_as_in_training, with_preset

    kinds = {
        "run": s.RunCommand,
        "train": s.TrainCommand,
        "evaluate": s.EvaluateCommand,
        "analyze": s.AnalyzeCommand,
        "ablate": s.AblateCommand,
        "report": s.ReportCommand,
        "logs": s.LogsCommand,
        "mnist": s.MnistCommand,
        "play": w.PlayCommand,
        "levels": w.LevelsCommand,
        "procgen": s.ProcgenCommand,
        "study": s.StudyCommand,
    }
    kind = kinds[name]
    if kind in (w.PlayCommand, w.LevelsCommand):
        argv = named_as_in_training(argv)
    command = parse(kind, argv, f"goalcut {name}", lambda: with_preset(kind, argv))
    try:
        check_logs((*getattr(command, "log", ()), *getattr(command, "to", ())))
    except ValueError as error:
        raise UsageError(as_typed(str(error), argv)) from None
    _run(command)


def _run(command: Any) -> None:
    from ..agents.allocator import keep_freed_memory
    from ..agents.open_run import MazeRun, open_maze_run, open_run
    from ..studies.stages import up_to_date
    from . import digit_steps, steps, study_steps, world_steps
    from . import settings as s
    from . import world_settings as w

    keep_freed_memory()

    match command:
        case w.PlayCommand():
            world_steps.play_step(command)
        case w.LevelsCommand():
            print(world_steps.levels_step(command))
        case s.RunCommand() | s.ProcgenCommand():
            run = steps.train_step(command.directory, command.train, command.log)
            results: list[tuple[str, Any, Callable[[MazeRun, Any], Any]]] = [
                ("evaluation.json", command.evaluate, steps.evaluate_step),
                ("analysis/analysis.json", command.analyze, steps.analyze_step),
                ("ablation/table.json", command.ablate, steps.ablate_step),
            ]
            for file, chosen, step in results:
                if file != "evaluation.json" and command.train.record == "none":
                    continue
                if not up_to_date(run, file, chosen):
                    step(run, chosen)
            steps.report_step(run)
        case s.TrainCommand():
            steps.train_step(command.directory, command.train, command.log)
        case s.EvaluateCommand():
            steps.print_evaluation(steps.evaluate_step(open_maze_run(command.there()), command.evaluate))
        case s.AnalyzeCommand():
            steps.analyze_step(open_maze_run(command.directory), command.analyze)
        case s.AblateCommand():
            steps.ablate_step(open_maze_run(command.there()), command.ablate)
        case s.ReportCommand():
            print(steps.report_step(open_run(command.there())))
        case s.LogsCommand():
            steps.logs_step(open_run(command.directory), command.to)
        case s.MnistCommand() if command.table:
            print(
                digit_steps.table_step(
                    command.directory or Path("runs/mnist-table"), command.train, command.seeds
                )
            )
        case s.MnistCommand():
            directory = command.directory or Path("runs/mnist")
            digits = digit_steps.train_digits_step(directory, command.train, command.log)
            if command.train.record != "none":
                digit_steps.analyze_digits_step(digits, command.analyze)
                digit_steps.ablate_digits_step(digits, command.ablate)
            steps.report_step(digits)
        case s.StudyCommand():
            study_steps.study_step(command)


def _guarded(action: Callable[[], None], argv: Sequence[str]) -> int:
    """Run, and turn what users can mend into one line and an exit code."""
    try:
        from ..agents.files import RunConflictError, SettingError
        from ..agents.recorder import GradientError
        from .parsing import UsageError, as_typed

        try:
            action()
            sys.stdout.flush()  # what cannot be written shall be told of here
        except (UsageError, RunConflictError) as error:
            return _say(2, str(error))
        except SettingError as error:
            return _say(2, as_typed(str(error), argv))
        except GradientError as error:
            return _say(1, str(error))
    except KeyboardInterrupt:
        return _say(
            1, "interrupted; what was recorded is kept: the same command goes on from the last saved state"
        )
    except (ValueError, OSError) as error:
        return _say(1, _unwritable(error) or str(error) or type(error).__name__)
    except Exception as error:
        if os.environ.get("GOALCUT_TRACEBACK"):
            raise
        where = "set GOALCUT_TRACEBACK=1 to see where"
        return _say(1, f"unexpected {type(error).__name__}: {error}; a file may be damaged; {where}")
    return 0


def _unwritable(error: Exception) -> str | None:
    """What to say of a write that failed and names no file; None: it is something else."""
    if not isinstance(error, OSError) or error.errno is None or error.filename is not None:
        return None
    if error.strerror != os.strerror(error.errno):  # words of our own, with a remedy
        return None
    try:
        sys.stdout.flush()
    except OSError:
        # Python flushes once more as it ends, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return (
        f"{error.strerror} while writing to standard output or to the disk: free space, or send the output elsewhere, "
        f"and give the same command again"
    )


def _say(code: int, message: str) -> int:
    print(f"goalcut: {' '.join(message.split())}", file=sys.stderr)
    return code


def _fail(code: int, message: str) -> None:
    sys.exit(_say(code, message))

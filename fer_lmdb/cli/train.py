"""``fer-lmdb train``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fer_lmdb.cli.console import emit, err_console, json_option, next_command, note
from fer_lmdb.cli.grouped import GroupedCommand, GroupedOption
from fer_lmdb.cli.train_options import training_options

if TYPE_CHECKING:
    from fer_lmdb.training.options import TrainOptions
    from fer_lmdb.training.train import TrainProgress, TrainResult

# What a run that goes on may be given again; everything else it takes from its own folder.
RESUMABLE_OPTIONS = ("run", "resume", "loader", "workers")

EXAMPLES = """
# as the net's solver.prototxt says, but 150 epochs
fer-lmdb train --epochs 150
# another net, a name, a seed and a rate
fer-lmdb train --model resnet34 --run mine --seed 1 --base-lr 0.02
# go on with a run that was interrupted
fer-lmdb train --resume --run mine
# a student that learns from two models, and stops when it gets no better
fer-lmdb train --model fer_mini --teacher runs/a --teacher runs/b --early-stop 10
# fine-tune a shipped model on your own faces
fer-lmdb train --model fer_mini --data data/mine --init fer_mini --base-lr 0.01
# on two GPUs, or on two processors
torchrun --nproc-per-node 2 -m -- fer_lmdb train --batch 128
# watch curves and augmented faces
tensorboard --logdir runs
"""


@click.command("train", cls=GroupedCommand, examples=EXAMPLES)
@training_options
@json_option
@click.pass_context
def command(context: click.Context, run: str | None, resume: bool, as_json: bool, **options: Any) -> None:
    """Train a net on a built data set.

    Writes runs/NAME/ with the best model by validation, TensorBoard curves and
    snapshots. Ctrl-C saves and says how to go on; a killed run goes on with --resume
    and ends with the very weights of a run that was never interrupted.

    The recipe is the net's own solver.prototxt; options change it, and the run
    folder keeps what came out. docs/recipes.md explains each of them.
    """
    from fer_lmdb.training import train as stage
    from fer_lmdb.training.distributed import is_main_process

    loading = stage.LoaderOptions(options.pop("loader"), options.pop("workers"))
    leads = is_main_process()  # of several processes one speaks for all
    with _Display(leads) as display:
        if resume:
            _reject_options(context)
            result = stage.resume(run, display.show, loading)
        else:
            for several in ("teachers", "teacher_data"):
                options[several] = list(options[several]) or None
            result = stage.train(_options(options), run, display.show, loading)
    if not leads:
        context.exit(0 if result.finished else 130)
    if result.initial:
        note(result.initial.sentence())
    _report(result, as_json)
    if not result.finished:
        next_command("train", "--resume", "--run", str(result.run.path))
        context.exit(130)
    data = result.run.read_config()["options"]["data"]
    next_command("evaluate", str(result.run.path), "--data", data)


def _options(options: dict[str, Any]) -> TrainOptions:
    """Return the wishes; one that makes no sense by itself is wrong usage."""
    from fer_lmdb.errors import RunError
    from fer_lmdb.training import options as wishes

    made = wishes.TrainOptions(**options)
    try:
        wishes.validate_options(made)
    except RunError as error:
        raise click.UsageError(str(error)) from error
    return made


def _reject_options(context: click.Context) -> None:
    """A run that goes on takes its recipe from its own folder."""
    typed = click.core.ParameterSource.COMMANDLINE
    given = [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if isinstance(parameter, GroupedOption)
        and parameter.name not in RESUMABLE_OPTIONS
        and context.get_parameter_source(parameter.name or "") is typed
    ]
    if given:
        raise click.UsageError(f"--resume goes on with the run's own options; leave out {', '.join(given)}")


def _report(result: TrainResult, as_json: bool) -> None:
    if as_json:
        emit(
            {
                "run": str(result.run.path),
                "finished": result.finished,
                "iteration": result.iteration,
                "epochs": len(result.log),
                "best": result.best,
            }
        )
        return
    state = "Trained" if result.finished else "Stopped and saved"
    click.echo(f"{state}: {result.run.path}, iteration {result.iteration}")
    if result.best and "val_accuracy" in result.best:
        click.echo(f"Best validation accuracy {result.best['val_accuracy']:.2%} in epoch {result.best['epoch']}")


class _Display:
    """A progress bar on a terminal, one line per epoch elsewhere; both on stderr."""

    def __init__(self, shown: bool = True) -> None:
        self.shown = shown

    def __enter__(self) -> _Display:
        from fer_lmdb.cli.console import progress_bar

        self.console = err_console()
        self.bar = progress_bar("iterations")
        self.task = self.bar.add_task("train", total=None, note="")
        if self.shown:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, progress: TrainProgress) -> None:
        note = f"loss {progress.loss:.3f}  lr {progress.lr:.4g}  {progress.faces_per_second:,.0f} faces/s"
        self.bar.update(self.task, total=progress.iterations, completed=progress.iteration, note=note)
        record = progress.record
        if record is None:
            return
        line = f"epoch {record['epoch']:>3}  train loss {record['train_loss']:.4f}"
        if "val_accuracy" in record:
            line += f"  val loss {record['val_loss']:.4f}  val accuracy {record['val_accuracy']:.2%}"
        self.bar.console.print(
            f"{line}  lr {record['lr']:.3g}  {progress.faces_per_second:,.0f} faces/s", highlight=False, soft_wrap=True
        )

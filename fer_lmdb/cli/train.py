"""``fer-lmdb train``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fer_lmdb.cli.console import emit, err_console, next_command, note
from fer_lmdb.cli.shared_options import json_option
from fer_lmdb.cli.train_options import GroupedCommand, GroupedOption, training_options

if TYPE_CHECKING:
    from fer_lmdb.training.callbacks import TrainProgress
    from fer_lmdb.training.options import TrainOptions
    from fer_lmdb.training.result import TrainResult

RESUMABLE_OPTIONS = ("run", "resume", "loader", "workers")
"""Options allowed with --resume; all others are stored in the run."""

MAX_CALIBRATION_ERROR = 0.05
"""Expected calibration error on validation above which the next step is `calibrate`."""

EXAMPLES = """
# the net's own recipe for 150 epochs
fer-lmdb train --epochs 150
# another net, run name, seed and learning rate
fer-lmdb train --model resnet34 --run mine --seed 1 --base-lr 0.02
# resume an interrupted run
fer-lmdb train --resume --run mine
# distill two teachers into a student, with early stopping
fer-lmdb train --model fer_mini --teacher runs/a --teacher runs/b --epochs 50
# fine-tune a pretrained model on other faces
fer-lmdb train --model fer_mini --data data/mine --init fer_mini --base-lr 0.01
# two GPUs, or two CPU processes
torchrun --nproc-per-node 2 -m -- fer_lmdb train --batch-size 128
# show curves and augmented faces
tensorboard --logdir runs
"""


@click.command("train", cls=GroupedCommand, examples=EXAMPLES)
@training_options
@json_option
@click.pass_context
def command(context: click.Context, run: str | None, resume: bool, as_json: bool, **options: Any) -> None:
    """Train a net on a data set.

    Writes runs/NAME/ with the best model on validation, TensorBoard curves and
    snapshots. Ctrl-C saves a snapshot and stops. --resume continues a stopped or
    killed run; the result is bit-identical to an uninterrupted run.

    The recipe is the net's own solver.prototxt. Options override it, and the run
    folder stores the resulting files. docs/recipes.md describes each option.
    """
    from fer_lmdb.data.loaders import LoaderOptions
    from fer_lmdb.training.callbacks import ProgressCallback
    from fer_lmdb.training.distributed import is_main_process
    from fer_lmdb.training.train import resume as resume_training
    from fer_lmdb.training.train import train

    loaders = LoaderOptions(options.pop("loader"), options.pop("workers"))
    is_main = is_main_process()
    with _Display(is_main) as display:
        callbacks = [ProgressCallback(display.show)]
        if resume:
            _reject_options(context)
            result = resume_training(run, loaders=loaders, callbacks=callbacks)
        else:
            made = _make_options(options)
            if is_main:
                _print_ignored_fields(made)
            result = train(made, run, loaders=loaders, callbacks=callbacks)
    if not is_main:
        context.exit(0 if result.finished else 130)
    if result.init_report:
        note(result.init_report.sentence())
    _print_result(result, as_json)
    if not result.finished:
        next_command("train", "--resume", "--run", str(result.run.path))
        context.exit(130)
    _print_next_command(result)


def _print_next_command(result: TrainResult) -> None:
    options = result.run.read_config()["options"]
    error = (result.best or {}).get("val_ece", 0.0)
    command = "evaluate"
    if error > MAX_CALIBRATION_ERROR and options.get("train_splits") == "train":
        note(f"Calibration error {error:.3f} on validation: the probabilities do not match the accuracy.")
        command = "calibrate"
    next_command(command, str(result.run.path), "--data", options["data"])


def _make_options(options: dict[str, Any]) -> TrainOptions:
    """Return the training options; an invalid one is a usage error."""
    from fer_lmdb.errors import RunError
    from fer_lmdb.training.options import TrainOptions

    for repeated in ("teachers", "teacher_data"):
        options[repeated] = list(options[repeated]) or None
    try:
        return TrainOptions(**options)
    except RunError as error:
        raise click.UsageError(str(error)) from error


def _print_ignored_fields(options: TrainOptions) -> None:
    """Print fields of the user's own solver that have no effect."""
    from fer_lmdb.training.ignored_fields import describe_ignored_fields

    if line := describe_ignored_fields(options):
        note(line)


def _reject_options(context: click.Context) -> None:
    """Reject options that a resumed run reads from its folder."""
    typed = click.core.ParameterSource.COMMANDLINE
    given = [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if isinstance(parameter, GroupedOption)
        and parameter.name not in RESUMABLE_OPTIONS
        and context.get_parameter_source(parameter.name or "") is typed
    ]
    if given:
        raise click.UsageError(f"--resume uses the options stored in the run; remove {', '.join(given)}")


def _print_result(result: TrainResult, as_json: bool) -> None:
    if as_json:
        emit(result.to_dict())
        return
    state = "Trained" if result.finished else "Stopped and saved"
    click.echo(f"{state}: {result.run.path}, iteration {result.iteration}")
    if result.best and "val_accuracy" in result.best:
        click.echo(f"Best validation accuracy {result.best['val_accuracy']:.2%} in epoch {result.best['epoch']}")


class _Display:
    """Training progress on stderr: a progress bar on a terminal, one line per epoch elsewhere."""

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

"""Options of ``fer-lmdb train`` in groups, and the help that shows the groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fer_lmdb.choices import DISTILL_MODES, LOADERS, LR_POLICIES, MONITORS, OPTIMIZERS, SOFT_LABEL_MODES, TRAIN_SPLITS
from fer_lmdb.cli.command import Command
from fer_lmdb.cli.shared_options import device_option, labels_option, precision_option
from fer_lmdb.cli.types import DATA_SET, MODEL, NET, RUN

UNGROUPED = "Options"


class GroupedOption(click.Option):
    """An option with a heading in the help.

    Args:
        group: Heading.
    """

    def __init__(self, *arguments: Any, group: str = UNGROUPED, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.group = group


class GroupedCommand(Command):
    """A command whose help lists its options by group; options without a group come last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section per group, in order of declaration."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "group", UNGROUPED), []).append(record)
        ungrouped = sections.pop(UNGROUPED, [])
        for heading, records in [*sections.items(), (UNGROUPED, ungrouped)]:
            with formatter.section(heading):
                formatter.write_dl(records)


def option_group(heading: str) -> Callable[..., Callable[[Any], Any]]:
    """Return a decorator like `click.option` that adds options to a group."""

    def option(*declarations: str, **settings: Any) -> Callable[[Any], Any]:
        return click.option(*declarations, cls=GroupedOption, group=heading, **settings)

    return option


run = option_group("Run")
loading = option_group("Data loading (affects speed only, not the result)")
schedule = option_group("Schedule and learning rate (default: the net's solver.prototxt)")
optimizer = option_group("Optimizer (default: the net's solver.prototxt)")
target = option_group("Targets and regularization (default: the net's solver.prototxt)")
distillation = option_group("Knowledge distillation")
augmentation = option_group("Augmentation (default: the net's train_val.prototxt)")
stopping = option_group("Early stopping and checkpoints")

NUMBER = {"type": float, "metavar": "X"}
COUNT = {"type": int, "metavar": "N"}
FRACTION = {"type": float, "metavar": "FRACTION"}

OPTIONS: list[Callable[[Any], Any]] = [
    run("--model", type=NET, default="face_emotion_net", show_default=True, help="Zoo net, or a folder with a net."),
    run(
        "--data",
        type=DATA_SET,
        help="Data set written by build, or a folder of databases of Caffe's tools; or these one by one: "
        "train=A,val=B,mean=M.binaryproto.  [default: the sources of the net in a folder, or data/fer2013]",
    ),
    labels_option("the classes of databases without a manifest", run),
    run("--run", type=RUN, help="Run name below runs/, or a path.  [default: the net's name and the next number]"),
    run("--resume", is_flag=True, help="Resume --run (or the newest run) from its last snapshot."),
    run(
        "--seed",
        type=int,
        help="Seed of weights, order, augmentation and dropout.  [default: the solver's random_seed, or 0]",
    ),
    run("--init", type=MODEL, help="Fine-tune: initialize from a model or a .caffemodel."),
    run("--reset-classifier", is_flag=True, help="With --init: load all layers except the last, for other classes."),
    run("--widen", is_flag=True, help="With --init: initialize a net from one with fewer channels."),
    run(
        "--train-splits",
        type=click.Choice(TRAIN_SPLITS),
        default="train",
        show_default=True,
        help="Training splits. With train+val there is no validation split, and the model of the last epoch is saved.",
    ),
    precision_option("auto", option=run),
    device_option(option=run),
    run("--solver-text", metavar="TEXT", help="Other solver fields as prototxt: 'display: 50 average_loss: 20'."),
    loading(
        "--loader",
        type=click.Choice(LOADERS),
        default="auto",
        show_default=True,
        help="stream: worker processes read faces from disk; auto: in memory up to 2 GiB of faces.",
    ),
    loading("--workers", default=2, show_default=True, **COUNT, help="Number of worker processes for stream."),
    schedule("--epochs", **COUNT, help="Number of epochs; multistep lowers the learning rate at 60 % and 85 %."),
    schedule("--batch-size", **COUNT, help="Global batch size: faces per iteration over all processes."),
    schedule("--base-lr", **NUMBER, help="Initial learning rate."),
    schedule(
        "--lr-policy",
        type=click.Choice(LR_POLICIES),
        help="Learning-rate schedule.",
    ),
    schedule("--warmup-epochs", type=float, metavar="EPOCHS", help="Linear warmup before any policy."),
    schedule("--min-lr", **NUMBER, help="Final learning rate of cosine, lower bound of plateau."),
    schedule("--cosine-cycles", **COUNT, help="cosine: number of cycles; a checkpoint is saved after each."),
    schedule("--plateau-patience", **COUNT, help="plateau: epochs without improvement before a reduction."),
    schedule("--plateau-factor", **NUMBER, help="plateau: factor of each reduction."),
    optimizer(
        "--optimizer",
        type=click.Choice(list(OPTIMIZERS)),
        help="Optimizer. Set --base-lr to match (Adam: about 0.001).",
    ),
    optimizer("--momentum", **NUMBER, help="Momentum (beta1 for Adam)."),
    optimizer("--weight-decay", **NUMBER, help="Weight decay."),
    optimizer("--clip-gradients", **NUMBER, help="Clip the global gradient norm."),
    optimizer("--ema-decay", **NUMBER, help="Save the moving average of the weights, e.g. with decay 0.999."),
    target("--label-smoothing", **FRACTION, help="Fraction of the target spread over all classes."),
    target(
        "--soft-labels",
        type=click.Choice(SOFT_LABEL_MODES),
        help="Train on FER+ votes: the majority, a label sampled from them, or their distribution.",
    ),
    target(
        "--class-weights",
        metavar="WEIGHTS",
        help="Loss weight by class: inverse, inverse-root (of the class frequency), a list such as 1,2.5,1,..., none.",
    ),
    target("--mixup", metavar="ALPHA", type=float, help="Mixup with Beta(ALPHA, ALPHA); 0 disables it."),
    target("--cutmix", metavar="ALPHA", type=float, help="CutMix; with --mixup one of the two per batch."),
    target("--mix-until", **FRACTION, help="Stop mixing after this fraction of the run, e.g. 0.85."),
    distillation("--teacher", "teachers", type=MODEL, multiple=True, help="Teacher model; repeat to average several."),
    distillation("--distill-weight", **FRACTION, help="Weight of the distillation loss, 0 to 1.  [default: 0.5]"),
    distillation("--distill-temperature", **NUMBER, help="Temperature of both softmaxes.  [default: 2]"),
    distillation(
        "--distill-mode",
        type=click.Choice(list(DISTILL_MODES)),
        help="offline: run teachers once on the stored faces, in four TTA views; online: on every training batch."
        "  [default: offline]",
    ),
    distillation(
        "--teacher-data",
        type=DATA_SET,
        multiple=True,
        help="Variant of the data set with the preprocessing of a teacher.",
    ),
    augmentation("--mirror/--no-mirror", default=None, help="Random horizontal flip (p = 0.5)."),
    augmentation("--rotation", metavar="DEGREES", type=float, help="Maximum rotation in either direction."),
    augmentation("--zoom", **FRACTION, help="Maximum change of scale: 0.15 samples from 0.85 to 1.15."),
    augmentation("--shift", **FRACTION, help="Maximum shift as a fraction of the side length."),
    augmentation("--shear", metavar="DEGREES", type=float, help="Maximum shear in either direction."),
    augmentation("--brightness", **FRACTION, help="Maximum change of brightness."),
    augmentation("--contrast", **FRACTION, help="Maximum change of contrast."),
    augmentation("--random-erasing", metavar="P", type=float, help="Probability of random erasing."),
    stopping("--early-stop-patience", metavar="EPOCHS", type=int, help="Stop after N epochs without improvement."),
    stopping(
        "--monitor",
        type=click.Choice(list(MONITORS)),
        help="Validation metric for plateau and early stopping.  [default: loss]",
    ),
    stopping("--min-delta", **NUMBER, help="Smallest change that counts as an improvement.  [default: 0]"),
    stopping("--save-every", metavar="EPOCHS", type=float, help="Save a checkpoint every N epochs to checkpoints/."),
]


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare all options of the command, in this order."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command

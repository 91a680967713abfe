"""The options of ``fer-lmdb train``, by what they are about. What none of them says, the net's own recipe does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fer_lmdb.cli.grouped import options_of
from fer_lmdb.cli.types import DATA_SET, DEVICE, MODEL, NET, RUN

run = options_of("Run")
reading = options_of("How faces are read (changes the speed, never the result)")
length = options_of("Length and rate (where not given: the net's solver.prototxt)")
update = options_of("Updates (where not given: the net's solver.prototxt)")
target = options_of("What the loss compares with (where not given: the net's solver.prototxt)")
teacher = options_of("Teachers (distillation)")
image = options_of("Augmentation of the training faces (where not given: the net's train_val.prototxt)")
end = options_of("When to stop, what to keep")

NUMBER = {"type": float, "metavar": "X"}
COUNT = {"type": int, "metavar": "N"}

OPTIONS: list[Callable[[Any], Any]] = [
    run(
        "--model", type=NET, default="face_emotion_net", show_default=True, help="Net of the zoo, or a folder like one."
    ),
    run("--data", type=DATA_SET, default="data/fer2013", show_default=True, help="Folder that build has written."),
    run("--run", type=RUN, help="Name below runs/, or a path.  [default: the net's name and the next number]"),
    run("--resume", is_flag=True, help="Go on with --run (or the newest run) from its last snapshot."),
    run("--seed", type=int, default=0, show_default=True, help="Decides weights, order, augmentation and dropout."),
    run("--init", type=MODEL, help="Fine-tune: start from a model's or a .caffemodel's weights."),
    run("--fresh-classifier", is_flag=True, help="With --init: begin the last layer afresh, as other classes need it."),
    run("--widen", is_flag=True, help="With --init: a net with more channels begins as the narrower model."),
    run(
        "--train-on",
        type=click.Choice(["train", "train+val"]),
        default="train",
        show_default=True,
        help="Splits to learn from; with train+val nothing is left to choose the best epoch by.",
    ),
    run(
        "--precision",
        type=click.Choice(["auto", "bfloat16", "float32"]),
        default="auto",
        show_default=True,
        help="auto: bfloat16 where the processor is fast at it.",
    ),
    run("--device", type=DEVICE, default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ..."),
    run("--solver", metavar="TEXT", help="Any other fields, as in solver.prototxt: 'power: 0.5 average_loss: 20'."),
    reading(
        "--loader",
        type=click.Choice(["auto", "memory", "stream"]),
        default="auto",
        show_default=True,
        help="stream: worker processes read from the disk as faces are needed; auto: memory up to 2 GiB of faces.",
    ),
    reading("--workers", default=2, show_default=True, **COUNT, help="Processes that read ahead for stream."),
    length("--epochs", **COUNT, help="How often each face is seen; a multistep rate falls at 60 % and 85 %."),
    length("--batch", "batch_size", **COUNT, help="Faces in a batch, over all processes that train together."),
    length("--base-lr", **NUMBER, help="Initial rate."),
    length(
        "--policy",
        type=click.Choice(["fixed", "multistep", "cosine", "plateau", "poly"]),
        help="How the rate goes on.",
    ),
    length("--warmup", type=float, metavar="EPOCHS", help="Let the rate rise to its initial value first."),
    length("--min-lr", **NUMBER, help="Where cosine ends, and plateau stops."),
    length("--cycles", **COUNT, help="cosine: fall so many times, and keep the model of each (snapshot ensemble)."),
    length("--plateau-patience", **COUNT, help="plateau: epochs without a better value before the rate falls."),
    length("--plateau-factor", **NUMBER, help="plateau: what the rate is multiplied with."),
    update(
        "--optimizer",
        type=click.Choice(["sgd", "nesterov", "adam", "adamw", "adagrad", "rmsprop", "adadelta"]),
        help="Update rule; its rate is --base-lr's to say (Adam: about 0.001).",
    ),
    update("--momentum", **NUMBER, help="Momentum; of Adam the first."),
    update("--weight-decay", **NUMBER, help="Weight decay."),
    update("--clip", **NUMBER, help="Largest norm of all gradients together."),
    update("--ema", metavar="DECAY", type=float, help="Average the weights, e.g. 0.999; the averages are the model."),
    target("--label-smoothing", metavar="SHARE", type=float, help="Part of the target spread over all classes."),
    target(
        "--soft-labels",
        type=click.Choice(["majority", "probability", "cross-entropy"]),
        help="Learn from FER+'s votes: their majority, labels drawn from them, or their distribution.",
    ),
    target(
        "--class-weights",
        metavar="WEIGHTS",
        help="How much a face counts: inverse or inverse-root of its class's frequency, a list as 1,2.5,1,..., none.",
    ),
    target("--mixup", metavar="ALPHA", type=float, help="Mix pairs of faces and their labels; 0 = never."),
    target("--cutmix", metavar="ALPHA", type=float, help="Paste a piece of another face; with --mixup a coin decides."),
    target("--mix-until", metavar="SHARE", type=float, help="Stop mixing after this part of the training, e.g. 0.85."),
    teacher(
        "--teacher", "teachers", type=MODEL, multiple=True, help="Learn from this model too; give several to average."
    ),
    teacher("--teacher-weight", metavar="SHARE", type=float, help="Part of the loss that is theirs.  [default: 0.5]"),
    teacher("--temperature", **NUMBER, help="Flattens their probabilities.  [default: 2]"),
    teacher(
        "--teacher-sees",
        type=click.Choice(["faces", "batches"]),
        help="faces: each face once, in four views; batches: the augmented faces of every iteration.  [default: faces]",
    ),
    teacher(
        "--teacher-data",
        type=DATA_SET,
        multiple=True,
        help="The same faces, prepared as a teacher knows them; where that is not the way of --data.",
    ),
    image("--mirror/--no-mirror", default=None, help="Flip half of them."),
    image("--rotation", metavar="DEGREES", type=float, help="Largest turn, either way."),
    image("--zoom", metavar="SHARE", type=float, help="Largest change of size: 0.15 draws from 0.85 to 1.15."),
    image("--shift", metavar="SHARE", type=float, help="Largest shift, as a part of the side."),
    image("--shear", metavar="DEGREES", type=float, help="Largest slant, either way."),
    image("--brightness", metavar="SHARE", type=float, help="Largest change of all values."),
    image("--contrast", metavar="SHARE", type=float, help="Largest change of the distance to the face's mean."),
    image("--erasing", metavar="CHANCE", type=float, help="Chance that a random rectangle is blanked."),
    end("--early-stop", metavar="EPOCHS", type=int, help="Stop after so many epochs without a better value."),
    end("--monitor", type=click.Choice(["loss", "accuracy"]), help="The value on validation.  [default: loss]"),
    end("--min-delta", **NUMBER, help="A value is better only by more than this.  [default: 0]"),
    end("--keep-every", metavar="EPOCHS", type=float, help="Keep a model every so often in the run's folder kept/."),
]


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare all of them, in this order."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command

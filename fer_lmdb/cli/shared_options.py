"""Options that several commands have in common, each declared once.

Each function returns a decorator like `click.option`. `option` declares it, e.g. under a heading of train's help.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fer_lmdb import ranges
from fer_lmdb.choices import EXECUTORS, FACE_ALIGNMENTS, PRECISIONS, ROTATIONS, SPLITS, TTA_VIEWS
from fer_lmdb.cli.numbers import NumberList, number
from fer_lmdb.cli.types import DETECTOR, DEVICE, MODEL, IntChoice, Labels

Decorator = Callable[[Any], Any]
Declare = Callable[..., Decorator]

json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON document on stdout."
)
json_lines_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document per line on stdout."
)


def device_option(default: str = "auto", subject: str = "Torch device", option: Declare = click.option) -> Decorator:
    """Declare --device.

    Args:
        default: Default device.
        subject: What the help text describes.
        option: Declares the option.
    """
    text = f"{subject}: auto (a GPU if available), cpu, cuda, cuda:1, ..."
    return option("--device", type=DEVICE, default=default, show_default=True, help=text)


def precision_option(default: str = "float32", option: Declare = click.option) -> Decorator:
    """Declare --precision."""
    return option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default=default,
        show_default=True,
        help="Compute dtype. auto: bfloat16 if the device supports it natively.",
    )


def models_option(
    text: str = "Pretrained model, model file or run folder. Several, or a folder of models, form an ensemble.",
) -> Decorator:
    """Declare --model, which may be repeated."""
    return click.option("--model", "models", type=MODEL, multiple=True, help=text)


def ensemble_weights_option() -> Decorator:
    """Declare --ensemble-weights."""
    return click.option(
        "--ensemble-weights",
        type=NumberList(ranges.NON_NEGATIVE),
        metavar="W1,W2,...",
        help="Weight of each ensemble member.  [default: equal]",
    )


def ensemble_temperature_option() -> Decorator:
    """Declare --ensemble-temperature."""
    return click.option(
        "--ensemble-temperature",
        type=click.FloatRange(0, min_open=True),
        metavar="T",
        help="Temperature that calibrates the average; 1: uncalibrated.  [default: the models']",
    )


def detector_option(default: str | None = None, text: str = "Face detector.") -> Decorator:
    """Declare --detector; without a default, it is the detector of the model."""
    shown = text if default else f"{text}  [default: the model's]"
    return click.option("--detector", type=DETECTOR, default=default, show_default=bool(default), help=shown)


def min_face_option(default: float | None = None, described: str = "") -> Decorator:
    """Declare --min-face.

    Args:
        default: Default size in pixels, or None for a size that depends on the image.
        described: Description of that default.
    """
    text = "Minimum face size in pixels." + (f"  [default: {described}]" if described else "")
    return click.option(
        "--min-face", type=number(ranges.MIN_FACE), default=default, show_default=default is not None, help=text
    )


def detector_threshold_option() -> Decorator:
    """Declare --detector-threshold."""
    return click.option(
        "--detector-threshold",
        type=number(ranges.DETECTOR_THRESHOLD),
        help="Minimum detection score; dlib's has no upper bound.  [default: the detector's own]",
    )


def face_selection_options(command: Any) -> Any:
    """Declare --max-faces, --largest and --rotate."""
    options = (
        click.option(
            "--max-faces",
            type=number(ranges.COUNT),
            metavar="N",
            help="Use the N faces with the highest detection score.  [default: all]",
        ),
        click.option("--largest", is_flag=True, help="Use the largest face; with --max-faces the N largest."),
        click.option(
            "--rotate",
            type=click.Choice(ROTATIONS),
            default="none",
            show_default=True,
            help="auto: look for faces in the image turned by 90, 180 and 270 degrees, too.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def tta_option() -> Decorator:
    """Declare --tta."""
    return click.option(
        "--tta",
        type=IntChoice(TTA_VIEWS),
        default=1,
        show_default=True,
        help="Test-time augmentation: views averaged per face. 2 and 4 zoom, mirror and rotate within the range of the "
        "training augmentation; 10 are the corner and center crops, mirrored.",
    )


def labels_option(subject: str, option: Declare = click.option) -> Decorator:
    """Declare --labels.

    Args:
        subject: What the names are for.
        option: Declares the option.
    """
    return option(
        "--labels",
        type=Labels(),
        metavar="NAMES|FILE",
        help=f"Names of {subject} in label order, separated by commas or one per line in a file; "
        "from 0, or each with its number.",
    )


def align_option(text: str = "Crop of each face; both: average the probabilities of the two.") -> Decorator:
    """Declare --align."""
    return click.option("--align", type=click.Choice(FACE_ALIGNMENTS), help=f"{text}  [default: the model's]")


def split_option(text: str, splits: tuple[str, ...] = SPLITS) -> Decorator:
    """Declare --split; the default is val."""
    return click.option("--split", type=click.Choice(splits), default="val", show_default=True, help=text)


def detect_every_option(
    text: str = "Videos: run the detector on every K-th frame and track faces in between.",
) -> Decorator:
    """Declare --detect-every."""
    return click.option(
        "--detect-every", type=number(ranges.DETECT_EVERY), default=3, show_default=True, metavar="K", help=text
    )


def fps_option() -> Decorator:
    """Declare --fps."""
    return click.option(
        "--fps",
        type=number(ranges.FPS),
        metavar="N",
        help="Videos and cameras: look at N frames a second.  [default: all]",
    )


def min_probability_option() -> Decorator:
    """Declare --min-probability."""
    return click.option(
        "--min-probability",
        type=number(ranges.PROBABILITY),
        default=0.0,
        help='Label faces with a lower top probability "uncertain".  [default: 0]',
    )


def executor_option(text: str) -> Decorator:
    """Declare --executor."""
    return click.option("--executor", type=click.Choice(EXECUTORS), default="local", show_default=True, help=text)


def force_option(kept: str = "inputs, data sets, runs or models") -> Any:
    """Return the option --force for single files."""
    return click.option("--force", is_flag=True, help=f"Replace files that fer-lmdb did not write; never {kept}.")

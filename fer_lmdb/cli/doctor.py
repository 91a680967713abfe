"""``fer-lmdb doctor``."""

from __future__ import annotations

from typing import Any

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, err_console, out_console
from fer_lmdb.cli.shared_options import device_option, json_option

EXAMPLES = """
# what this machine has, what fer-lmdb uses of it, and how fast it is
fer-lmdb doctor
# the first thing to attach to a bug report
fer-lmdb doctor --json > doctor.json
# without the trial
fer-lmdb doctor --seconds 0
"""


@click.command("doctor", cls=Command, examples=EXAMPLES)
@device_option()
@click.option(
    "--seconds",
    type=click.FloatRange(0, 3600),
    default=10.0,
    show_default=True,
    help="Duration of the trial of training, classification and detection; 0 skips it.",
)
@json_option
def command(device: str, seconds: float, as_json: bool) -> None:
    """Describe this machine, the defaults that follow from it, and its speed.

    Prints processor, instruction sets, memory, GPUs, package versions and missing extras; device, precision and threads
    that the other commands use; and faces per second in a short trial on random data.
    """
    from fer_lmdb.inspection.machine import describe_machine
    from fer_lmdb.inspection.speed_trial import run_speed_trial

    report = describe_machine(device)
    if seconds:
        with err_console().status("Measuring training, classification and detection ..."):
            report["trial"] = run_speed_trial(seconds, device)
    if as_json:
        emit(report)
    else:
        _print_report(report)


def _print_report(report: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(report):
        table.add_row(name, value)
    out_console().print(table)


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    processor, defaults = report["processor"], report["defaults"]
    memory = f", {processor['memory_gib']} GiB" if processor["memory_gib"] else ""
    rows = [
        ("fer-lmdb", report["fer_lmdb"]),
        ("system", report["system"]),
        ("processor", f"{processor['name']}, {processor['usable_cores']} of {processor['cores']} cores{memory}"),
        ("instruction sets", ", ".join(processor["instruction_sets"]) or "none that PyTorch reports"),
        ("GPU", "\n".join(map(_gpu_line, report["gpus"])) or "none that PyTorch can use"),
        ("packages", ", ".join(f"{name} {version or 'missing'}" for name, version in report["packages"].items())),
        ("extras", "\n".join(_extra_line(name, missing) for name, missing in report["extras"].items()) or "none"),
        ("environment", "\n".join(f"{name}={value}" for name, value in report["environment"].items()) or "-"),
        (
            "defaults",
            f"device {defaults['device']}, {defaults['threads']} threads, train in {defaults['train_precision']}, "
            f"predict in {defaults['predict_precision']}",
        ),
    ]
    return rows + (_trial_rows(report["trial"]) if "trial" in report else [])


def _gpu_line(gpu: dict[str, Any]) -> str:
    return (
        f"{gpu['name']}, {gpu['memory_gib']} GiB, compute capability {gpu['compute_capability']}, "
        f"CUDA {gpu['cuda']}, cuDNN {gpu['cudnn']}"
    )


def _extra_line(name: str, missing: list[str]) -> str:
    return f"{name}: {'not installed: ' + ', '.join(missing) if missing else 'installed'}"


def _trial_rows(trial: dict[str, Any]) -> list[tuple[str, str]]:
    batch = f"{trial['net']}, batches of {trial['batch_size']}"
    return [
        ("training", f"{trial['train_faces_per_second']:,.0f} faces/s ({batch})"),
        ("classification", f"{trial['predict_faces_per_second']:,.0f} faces/s ({batch})"),
        ("detection", f"{trial['detect_images_per_second']:,.0f} images/s (MTCNN, 48x48 pixels)"),
    ]

"""Old names and their replacements: command-line options, stored keys and values, files, import paths.

The command line uses `OPTIONS` for the error about an old option or a set old variable, readers of stored files use
`modernize`, and tools/write_docs.py writes all of it to docs/migration.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPTIONS: dict[str, dict[str, str]] = {
    "train": {
        "--batch": "--batch-size",
        "--policy": "--lr-policy",
        "--warmup": "--warmup-epochs",
        "--cycles": "--cosine-cycles",
        "--clip": "--clip-gradients",
        "--ema": "--ema-decay",
        "--early-stop": "--early-stop-patience",
        "--keep-every": "--save-every",
        "--fresh-classifier": "--reset-classifier",
        "--train-on": "--train-splits",
        "--erasing": "--random-erasing",
        "--teacher-weight": "--distill-weight",
        "--temperature": "--distill-temperature",
        "--teacher-sees": "--distill-mode",
        "--solver": "--solver-text",
    },
    "evaluate": {
        "--weights": "--ensemble-weights",
        "--fit-weights": "--fit-ensemble-weights",
        "--classes": "--label-scheme",
        "--explain-78": "--batch-accuracies",
    },
    "build": {
        "--on-miss": "--on-no-face",
        "--fraction": "--split-ratio",
        "--holdout": "--split-ratio",
        "--skip-bad": "--skip-invalid",
        "--only-images": "--images-only",
        "--classes": "--label-scheme",
        "--encode": "--encoding",
        "--engine": "--executor",
        "--threshold": "--detector-threshold",
    },
    "predict": {
        "--engine": "--executor",
        "--every": "--detect-every",
        "--top": "--top-k",
        "--threshold": "--min-probability",
    },
    "watch": {
        "--every": "--detect-every",
        "--seconds": "--duration",
        "--threshold": "--min-probability",
    },
    "serve": {"--allow-host": "--allowed-host"},
}
"""Old option -> new option, by command."""

STORED: dict[str, dict[str, str]] = {
    "run.json, options": {
        "policy": "lr_policy",
        "warmup": "warmup_epochs",
        "cycles": "cosine_cycles",
        "clip": "clip_gradients",
        "ema": "ema_decay",
        "early_stop": "early_stop_patience",
        "keep_every": "save_every",
        "fresh_classifier": "reset_classifier",
        "train_on": "train_splits",
        "erasing": "random_erasing",
        "teacher_weight": "distill_weight",
        "temperature": "distill_temperature",
        "teacher_sees": "distill_mode",
        "solver": "solver_text",
    },
    "evaluation": {
        "learnt_from_them": "trained_on_split",
        "prepared_otherwise": "preprocessing_mismatch",
        "counted_as": "label_scheme",
        "other_data": "data_variants",
        "readings": "batch_accuracies",
    },
    "evaluation, batch_accuracies": {"highest": "max", "expected_highest": "expected_max"},
    "model metadata, init": {"learnt_from": "trained_on", "fresh": "reinitialized"},
    "model metadata": {"figures": "evaluations"},
    "model and snapshot file": {"facts": "metadata"},
    "preprocessing": {"surround": "retry_pad", "enlarge": "retry_upscale"},
    "manifest.json": {"on_miss": "on_no_face", "encode": "encoding"},
    "manifest.json, splits": {"kept_unaligned": "unaligned", "left_out": "unlabeled"},
    "report.json": {"figures": "metrics"},
    "inspect --duplicates": {
        "with_twin_in": "with_near_duplicate_in",
        "with_twin": "with_near_duplicate",
        "without_twin": "without_near_duplicate",
        "explains": "evaluation",
    },
}
"""Old key -> new key, by the file or object that holds it. Readers accept both, writers use the new one."""

VALUES: dict[str, dict[str, str]] = {
    "run.json, options, distill_mode": {"faces": "offline", "batches": "online"},
    "detections.jsonl, state": {"kept": "unaligned"},
}
"""Old value -> new value."""

FILES: dict[str, str] = {
    "figures.jsonl": "evaluations.jsonl",
    "taught.safetensors": "teacher_probabilities.safetensors",
    "kept": "checkpoints",
    "explain-78.png": "batch-accuracies.png",
}
"""Old file or folder -> new one, in a run folder."""

IMPORTS: dict[str, str] = {
    "fer_lmdb.annotate.annotate": "fer_lmdb.annotate",
    "fer_lmdb.faces.track.VideoFaces": "fer_lmdb.FaceTracker",
    "fer_lmdb.predict.frames.predict_video": "fer_lmdb.predict_video",
    "fer_lmdb.predictions.FacePrediction": "fer_lmdb.FacePrediction",
    "fer_lmdb.recognizer.Recognizer": "fer_lmdb.Recognizer",
}
"""Old import path -> new one, for what docs/api.md documented."""

ARGUMENTS: dict[str, dict[str, str]] = {"fer_lmdb.Recognizer": {"threshold": "min_probability"}}
"""Old argument -> new one, by the public name that has it."""


def modernize(kind: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored object with today's keys and values; other keys and the order stay.

    Args:
        kind: A key of `STORED`, or the part of one of `VALUES` before the last comma.
        stored: The object as read from the file.
    """
    names = STORED.get(kind, {})
    modern = {names.get(key, key): value for key, value in stored.items()}
    for key, value in modern.items():
        if isinstance(value, str):
            modern[key] = VALUES.get(f"{kind}, {key}", {}).get(value, value)
    return modern

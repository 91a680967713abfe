"""Face detectors of fer-lmdb compared with `mtcnn` on TensorFlow and `facenet-pytorch`.

    python benchmarks/detectors.py --csv data/fer2013.csv --write docs/benchmarks.md

Creates an environment for each of the other two (about 5 GB, once). Then runs each detector in its own process, in
turns, on the same images, and reports the best of the rounds. Without a csv the small faces are
crops of one photograph.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Only the standard library and numpy at the top level: the workers run in minimal environments.
import numpy as np
from charts import bars
from page import machine, write_section

REPOSITORY = Path(__file__).resolve().parents[1]
REQUIREMENTS = {
    "mtcnn-tensorflow": ["mtcnn==1.0.0", "tensorflow-cpu==2.21.0"],
    "facenet-pytorch": ["facenet-pytorch==2.6.0"],
}
TITLES = {
    "mtcnn": "**fer-lmdb `mtcnn`**",
    "mtcnn-tensorflow": "mtcnn 1.0.0, TensorFlow 2.21",
    "facenet-pytorch": "facenet-pytorch 2.6.0",
    "ssd": "fer-lmdb `ssd`",
    "haar": "fer-lmdb `haar`",
    "dlib": "fer-lmdb `dlib`",
}
ORIGINAL = "mtcnn-tensorflow"
FRAME_REPEATS = 7

Found = list[list[float]]
"""Faces of one image: x, y, width, height, score, and five x, y if there are landmarks."""
DetectMany = Callable[[list[np.ndarray]], list[Found]]


def fer_lmdb_detector(name: str, min_face: int) -> dict[str, DetectMany]:
    """Detect with fer-lmdb."""
    sys.path.insert(0, str(REPOSITORY))
    from fer_lmdb.faces import get_detector

    detector = get_detector(name, min_face=min_face)

    def detect(images: list[np.ndarray]) -> list[Found]:
        found = detector.detect(images)
        return [
            [
                [*face.box.tolist(), face.score, *(face.landmarks[:5].ravel().tolist() if has_five(face) else [])]
                for face in faces
            ]
            for faces in found
        ]

    def has_five(face: Any) -> bool:
        return face.landmarks is not None and len(face.landmarks) == 5

    return {"all at once": detect}


def mtcnn_tensorflow(min_face: int) -> dict[str, DetectMany]:
    """Detect with the package `mtcnn`, image by image and in lists of 32."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from mtcnn import MTCNN

    detector = MTCNN()
    order = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")

    def plain(faces: list[dict[str, Any]]) -> Found:
        return [
            [
                *map(float, face["box"]),
                float(face["confidence"]),
                *(float(v) for p in order for v in face["keypoints"][p]),
            ]
            for face in faces
        ]

    def alone(images: list[np.ndarray]) -> list[Found]:
        return [plain(detector.detect_faces(image, min_face_size=min_face)) for image in images]

    def lists(images: list[np.ndarray]) -> list[Found]:
        parts = [images[start : start + 32] for start in range(0, len(images), 32)]
        return [plain(faces) for part in parts for faces in detector.detect_faces(part, min_face_size=min_face)]

    return {"one by one": alone, "lists of 32": lists}


def facenet_pytorch(min_face: int) -> dict[str, DetectMany]:
    """Detect with the package `facenet-pytorch`, image by image and in stacks of 32."""
    from facenet_pytorch import MTCNN

    detector = MTCNN(keep_all=True, min_face_size=min_face, select_largest=False)

    def plain(boxes: Any, scores: Any, points: Any) -> Found:
        if boxes is None:
            return []
        return [
            [*box[:2].tolist(), *(box[2:] - box[:2]).tolist(), float(score), *point.ravel().tolist()]
            for box, score, point in zip(boxes, scores, points)  # noqa: B905
        ]

    def alone(images: list[np.ndarray]) -> list[Found]:
        return [plain(*detector.detect(image, landmarks=True)) for image in images]

    def stacks(images: list[np.ndarray]) -> list[Found]:
        found: list[Found] = []
        for start in range(0, len(images), 32):
            part = detector.detect(np.stack(images[start : start + 32]), landmarks=True)
            found += [plain(*faces) for faces in zip(*part)]  # noqa: B905
        return found

    return {"one by one": alone, "stacks of 32": stacks}


def calling_modes(name: str, min_face: int) -> dict[str, DetectMany]:
    """Return the calling modes of a detector by name."""
    if name == "mtcnn-tensorflow":
        return mtcnn_tensorflow(min_face)
    if name == "facenet-pytorch":
        return facenet_pytorch(min_face)
    return fer_lmdb_detector(name, min_face)


def work(name: str, images: Path, result: Path) -> None:
    """Measure one detector and write its detections and times."""
    with np.load(images) as file:
        faces = [np.repeat(face[:, :, None], 3, axis=2) for face in file["faces"]]
        frame = file["frame"]
    report: dict[str, Any] = {"faces_per_second": 0.0, "frame_ms": {}, "frame_faces": {}}
    for mode, detect in calling_modes(name, 20).items():
        detect(faces[:40])
        began = time.perf_counter()
        found = detect(faces)
        speed = len(faces) / (time.perf_counter() - began)
        if speed > report["faces_per_second"]:
            report.update(faces_per_second=speed, way=mode)
        report.setdefault("found", found)
    for min_face in (60, 20):
        detect = next(iter(calling_modes(name, min_face).values()))
        report["frame_faces"][min_face] = len(detect([frame])[0])
        times = [timed(detect, frame) for _ in range(FRAME_REPEATS)]
        report["frame_ms"][min_face] = statistics.median(times) * 1000
    report["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result.write_text(json.dumps(report))


def timed(detect: DetectMany, frame: np.ndarray) -> float:
    """Return the seconds for one frame."""
    began = time.perf_counter()
    detect([frame])
    return time.perf_counter() - began


def environment(name: str, folder: Path) -> Path:
    """Return the Python of the environment of another package; create it if it is missing."""
    python = folder / name / "bin" / "python"
    if not (folder / name / "ready").exists():
        print(f"Creating the environment of {name} ...", file=sys.stderr)
        venv.create(folder / name, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *REQUIREMENTS[name]], check=True)
        (folder / name / "ready").touch()
    return python


def small_faces(path: Path | None, count: int) -> np.ndarray:
    """Return (N, 48, 48) uint8: validation faces of fer2013.csv, or crops of the astronaut without a csv."""
    if path is not None:
        return read_csv(path, count)
    import cv2
    import skimage.data

    gray = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)
    generator = np.random.default_rng(0)
    crops = []
    for _ in range(count):
        side = int(generator.uniform(110, 190))
        x, y = (generator.normal((224, 120), 8) - side / 2).astype(int).clip(0)
        crop = cv2.resize(gray[y : y + side, x : x + side], (48, 48), interpolation=cv2.INTER_AREA)
        crops.append((crop * generator.uniform(0.5, 1.1)).clip(0, 255).astype(np.uint8))
    return np.stack(crops)


def read_csv(path: Path, count: int) -> np.ndarray:
    """Return the first validation faces of fer2013.csv."""
    faces = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file, skipinitialspace=True):
            if row["Usage"] == "PublicTest":
                faces.append(np.array(row["pixels"].split(), np.uint8).reshape(48, 48))
            if len(faces) == count:
                break
    return np.stack(faces)


def video_frame() -> np.ndarray:
    """Return a 1280 x 720 frame with five faces of two sizes."""
    import cv2
    import skimage.data

    astronaut = skimage.data.astronaut()
    frame = np.full((720, 1280, 3), 96, np.uint8)
    frame[:, :720] = cv2.resize(astronaut, (720, 720), interpolation=cv2.INTER_AREA)
    small = cv2.resize(astronaut, (280, 280), interpolation=cv2.INTER_AREA)
    for x in (720, 1000):
        for y in (40, 400):
            frame[y : y + 280, x : x + 280] = small
    return frame


def run_round(pythons: dict[str, Path], images: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Run each detector once, in its own process."""
    reports = {}
    for name, python in pythons.items():
        result = folder / f"{name}.json"
        command = [python, __file__, "--work", name, str(images), str(result)]
        settings = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        if name in REQUIREMENTS:  # PYTHONPATH is for this project only
            settings.pop("PYTHONPATH", None)
        done = subprocess.run(command, env=settings, capture_output=True, text=True)
        if done.returncode == 0:
            reports[name] = json.loads(result.read_text())
        else:
            print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    return reports


def best_of(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the best of the rounds by detector: highest speed, shortest frame time, smallest peak memory."""
    best: dict[str, dict[str, Any]] = {}
    for name in rounds[0]:
        reports = [one[name] for one in rounds if name in one]
        best[name] = max(reports, key=lambda report: report["faces_per_second"])
        for size in ("60", "20"):
            best[name]["frame_ms"][size] = min(report["frame_ms"][size] for report in reports)
        best[name]["peak_mb"] = min(report["peak_mb"] for report in reports)
    return best


def agreement(found: list[Found], original: list[Found]) -> float:
    """Return the fraction of images with the same faces: boxes and landmarks within 2 px, scores within 0.01."""
    return float(np.mean([same(one, other) for one, other in zip(found, original, strict=True)]))


def same(one: Found, other: Found) -> bool:
    """Return whether two lists have the same faces."""
    if len(one) != len(other):
        return False
    pairs = [(np.array(a), np.array(b)) for a, b in zip(one, other, strict=True)]
    return all(
        len(a) == len(b) and np.abs(np.delete(a - b, 4)).max() <= 2 and abs(a[4] - b[4]) <= 0.01 for a, b in pairs
    )


def table(best: dict[str, dict[str, Any]], faces: int, rounds: int, source: str) -> str:
    """Return the results in Markdown."""
    lines = [
        f"{faces} faces of 48 x 48 from {source}, minimum face size 20; one 1280 x 720 frame with five faces. "
        f"Best of {rounds} round{'s' * (rounds > 1)}, alternating; {machine()}. "
        "Memory is the peak of the whole process, libraries included.",
        "",
        "| detector | detected | same as original | faces/s | frame, min face 60 | frame, min face 20 | peak memory |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, title in TITLES.items():
        if name in best:
            lines.append(row(title, best[name], best.get(ORIGINAL), name))
    return "\n".join(lines)


def row(title: str, report: dict[str, Any], original: dict[str, Any] | None, name: str) -> str:
    """Return one row of the table."""
    found = np.mean([bool(faces) for faces in report["found"]])
    equal = "-"
    if original is not None and name in ("mtcnn", "facenet-pytorch", ORIGINAL):
        equal = f"{agreement(report['found'], original['found']):.1%}"
    frames = [f"{report['frame_ms'][size]:.0f} ms, {report['frame_faces'][size]} faces" for size in ("60", "20")]
    speed = f"{report['faces_per_second']:.0f}"
    return f"| {title} | {found:.1%} | {equal} | {speed} | {frames[0]} | {frames[1]} | {report['peak_mb']:.0f} MB |"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, help="fer2013.csv")
    parser.add_argument("--faces", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--environments", type=Path, default=REPOSITORY / ".benchmark-environments")
    parser.add_argument("--write", type=Path, help="Markdown file to write the table into")
    parser.add_argument("--work", nargs=3, metavar=("NAME", "IMAGES", "RESULT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work[0], Path(options.work[1]), Path(options.work[2]))
        return
    pythons = {name: environment(name, options.environments) for name in REQUIREMENTS}
    pythons = {name: pythons.get(name, Path(sys.executable)) for name in TITLES}
    with tempfile.TemporaryDirectory() as name:
        images = Path(name) / "images.npz"
        np.savez(images, faces=small_faces(options.csv, options.faces), frame=video_frame())
        rounds = [run_round(pythons, images, Path(name)) for _ in range(options.rounds)]
    source = "FER2013's validation split" if options.csv else "one photograph"
    best = best_of(rounds)
    text = table(best, options.faces, options.rounds, source)
    print(text)
    if options.write:
        speeds = {TITLES[name].replace("*", "").replace("`", ""): one["faces_per_second"] for name, one in best.items()}
        chart = options.write.parent / "images" / "benchmark-detectors.png"
        text += "\n\n" + bars(chart, "Detection of small faces, faces/s", speeds)
        write_section(options.write, "detectors", "Face detectors", text)


if __name__ == "__main__":
    main()

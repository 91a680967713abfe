"""From files to expressions: a video and a photograph, the whole way and its parts, beside the package `fer`.

    python benchmarks/end_to_end.py [--write docs/benchmarks.md]

The video (1280 x 720, one face that moves over a background) is drawn from images that come with scikit-image.
`fer` runs in an environment of its own, which is made once (about 4 GB). Every program runs in a process of its own,
in turns, and the best of the rounds counts. Processor time stands beside the clock's: other programs that run at the
same time change it little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Top level imports nothing else: the workers run in environments that hold little.
import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
FER = ["fer==25.10.3"]
WIDTH, HEIGHT, RATE = 1280, 720, 25
WARM_REPEATS = 15
TITLES = {"ours": "**fer-lmdb**", "fer_haar": "fer 25.10.3, Haar", "fer_mtcnn": "fer 25.10.3, MTCNN"}
TARGETS = {"frames_per_second": 25.0, "cold_s": 4.0, "warm_ms": 80.0}
PARTS = {
    "decode": "decode (H.264 to RGB)",
    "detect": "detect (MTCNN; every third frame)",
    "track": "track",
    "classify": "crop and classify",
    "draw": "draw boxes, landmarks and bars",
    "encode": "encode (H.264)",
}


# ---------------------------------------------------------------- the video


def frames(count: int) -> Iterator[np.ndarray]:
    """(720, 1280, 3) uint8 RGB: a portrait on its way across a table."""
    import cv2
    import skimage.data

    background = cv2.resize(skimage.data.coffee(), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    portrait = cv2.resize(skimage.data.astronaut()[:400, 30:430], (560, 560), interpolation=cv2.INTER_CUBIC)
    for index in range(count):
        frame = background.copy()
        left = round(360 + 320 * np.sin(index / 40))
        top = round(100 + 50 * np.cos(index / 25))
        frame[top : top + 560, left : left + 560] = portrait
        yield frame


def make_inputs(folder: Path, count: int) -> tuple[Path, Path]:
    """Write clip.mp4 and photo.jpg, its first frame."""
    sys.path.insert(0, str(REPOSITORY))
    from fer_lmdb.io.images import write_image
    from fer_lmdb.io.video_writer import VideoWriter

    with VideoWriter(folder / "clip.mp4", RATE) as video:
        for index, frame in enumerate(frames(count)):
            if index == 0:
                write_image(folder / "photo.jpg", frame)
            video.add(frame, index / RATE)
    return folder / "clip.mp4", folder / "photo.jpg"


# ---------------------------------------------------------------- in the environment of a program


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds by the clock, seconds of processor time in all threads, and what the work gave."""
    clock, processor = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - clock, time.process_time() - processor, result


def video_figures(work: Callable[[], int]) -> dict[str, float]:
    """Frames a second, and processor milliseconds a frame, of something that returns how many frames it did."""
    seconds, processor, count = timed(work)
    return {"frames_per_second": count / seconds, "processor_ms": 1000 * processor / count, "frames": count}


def warm(predict: Callable[[], Any]) -> dict[str, float]:
    """Milliseconds of one photograph, read and predicted, when everything is loaded."""
    predict()
    times = [timed(predict)[:2] for _ in range(WARM_REPEATS)]
    return {"ms": 1000 * min(one[0] for one in times), "processor_ms": 1000 * min(one[1] for one in times)}


def ours(clip: Path, photo: Path, folder: Path) -> dict[str, Any]:
    """Measure this project: what `predict clip.mp4 --save out.mp4 --csv out.csv` does, its parts, and a photograph."""
    sys.path.insert(0, str(REPOSITORY))
    from fer_lmdb import Recognizer
    from fer_lmdb.inference.inputs import InputFile
    from fer_lmdb.inference.output_paths import OutputPaths
    from fer_lmdb.inference.video import predict_video
    from fer_lmdb.inference.writers import ResultWriters

    recognizer = Recognizer(device="cpu")

    def whole() -> int:
        count = 0
        outputs = OutputPaths(save=folder / "out.mp4", table=folder / "out.csv", one_file=True)
        with (
            ResultWriters(recognizer.classes, outputs) as results,
            results.video(InputFile(clip, Path(clip.name))) as video,
        ):
            for seen in predict_video(clip, recognizer):
                video.add(seen)
                count += 1
        return count

    recognizer.predict(photo)  # everything is loaded and warm
    return {
        "whole": video_figures(whole),
        "parts": parts(clip, folder, recognizer),
        "warm": warm(lambda: recognizer.predict(photo)),
    }


def parts(clip: Path, folder: Path, recognizer: Any) -> dict[str, dict[str, float]]:
    """Processor and clock milliseconds a frame of each part, one part after the other on one thread."""
    from fer_lmdb.faces.tracking import Tracker
    from fer_lmdb.inference.video import MIN_FACE_FRACTION
    from fer_lmdb.io.video import VideoReader
    from fer_lmdb.io.video_writer import VideoWriter
    from fer_lmdb.visualization.annotate import annotate

    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in PARTS}

    def part(name: str, work: Callable[[], Any]) -> Any:
        seconds, processor, result = timed(work)
        spent[name].append((seconds, processor))
        return result

    tracker = Tracker()
    with VideoReader(clip) as video, VideoWriter(folder / "parts.mp4") as writer:
        coming = iter(video)
        while (frame := part("decode", lambda: next(coming, None))) is not None:
            image = frame.image
            faces = None
            if frame.index % 3 == 0:
                faces = part("detect", lambda image=image: recognizer.detect([image], MIN_FACE_FRACTION)[0])
            tracked = [one.face for one in part("track", lambda faces=faces: tracker.update(faces))]
            rows = part("classify", lambda image=image, tracked=tracked: recognizer.classify([image], [tracked]))
            found = [recognizer.to_prediction(face, image, row, 1) for face, row in zip(tracked, rows, strict=True)]
            drawn = part("draw", lambda image=image, found=found: annotate(image, found, same_size=True))
            part("encode", lambda drawn=drawn, frame=frame: writer.add(drawn, frame.time_s))
    count = len(spent["track"])
    return {
        name: {"ms": 1000 * sum(s for s, _ in own) / count, "processor_ms": 1000 * sum(p for _, p in own) / count}
        for name, own in spent.items()
    }


def theirs(clip: Path, photo: Path, folder: Path, mtcnn: bool) -> dict[str, Any]:
    """Measure `fer` with one of its two detectors, by its own way of treating videos."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import cv2
    from fer.classes import Video
    from fer.fer import FER

    detector = FER(mtcnn=mtcnn)
    os.chdir(folder)

    def whole() -> int:
        rows = Video(str(clip), outdir=str(folder / "fer")).analyze(
            detector, display=False, save_frames=False, zip_images=False, max_results=60
        )
        return len(rows)

    def predict() -> Any:
        return detector.detect_emotions(cv2.imread(str(photo)))

    predict()
    return {"whole": video_figures(whole), "warm": warm(predict)}


COLD_OURS = ["-m", "fer_lmdb", "predict"]
COLD_THEIRS = (
    "import sys, cv2; from fer.fer import FER; print(FER(mtcnn={mtcnn}).detect_emotions(cv2.imread(sys.argv[1])))"
)


def work(name: str, clip: Path, photo: Path, result: Path) -> None:
    """Measure one program and write the figures."""
    if name == "ours":
        report = ours(clip, photo, result.parent)
    else:
        report = theirs(clip, photo, result.parent, mtcnn=name == "fer_mtcnn")
    result.write_text(json.dumps(report))


# ---------------------------------------------------------------- the run


def environment(folder: Path) -> Path | str:
    """The Python of an environment that holds `fer`, made when it is not there; else why there is none."""
    place = folder / "fer"
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        print("Making the environment of fer ...", file=sys.stderr)
        venv.create(place, clear=True, with_pip=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", *FER], capture_output=True, text=True)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
        (place / "ready").touch()
    return python


def run_one(name: str, python: Path, inputs: tuple[Path, Path], folder: Path) -> dict[str, Any]:
    """One round of one program: a process that measures, and a process that is measured from its start."""
    result = folder / f"{name}.json"
    settings = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if name == "ours":
        cold = [python, *COLD_OURS, inputs[1]]
        settings["PYTHONPATH"] = str(REPOSITORY)
    else:
        cold = [python, "-c", COLD_THEIRS.format(mtcnn=name == "fer_mtcnn"), inputs[1]]
        settings.pop("PYTHONPATH", None)
    command = [python, __file__, "--work", name, *inputs, result]
    done = subprocess.run(list(map(str, command)), env=settings, capture_output=True, text=True)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    report: dict[str, Any] = json.loads(result.read_text())
    before = os.times()
    seconds, _, again = timed(lambda: subprocess.run(list(map(str, cold)), env=settings, capture_output=True))
    after = os.times()
    if again.returncode:
        return {"error": again.stderr.decode(errors="replace").strip().splitlines()[-1]}
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return {**report, "cold_s": seconds, "cold_processor_s": used}


def best_of(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The quickest of every figure over the rounds; a round that failed counts only when all did."""
    good = [one for one in rounds if "error" not in one]
    if not good:
        return rounds[0]
    best = {key: min(one[key] for one in good) for key in ("cold_s", "cold_processor_s")}
    whole = max((one["whole"] for one in good), key=lambda figures: figures["frames_per_second"])
    whole["processor_ms"] = min(one["whole"]["processor_ms"] for one in good)
    warm_best = {key: min(one["warm"][key] for one in good) for key in ("ms", "processor_ms")}
    found: dict[str, Any] = {**best, "whole": whole, "warm": warm_best}
    if "parts" in good[0]:
        found["parts"] = {
            name: {key: min(one["parts"][name][key] for one in good) for key in ("ms", "processor_ms")}
            for name in PARTS
        }
    return found


def table(best: dict[str, dict[str, Any]], rounds: int, count: int, said: str) -> str:
    """The results in Markdown."""
    lines = [
        f"A synthetic video of {count} frames of {WIDTH} x {HEIGHT} with one face ({said}); best of {rounds} "
        f"round{'s' * (rounds != 1)}, alternating. `fer` reads the first 60 frames and runs its detector on each. "
        "fer-lmdb runs its detector on every third frame and tracks faces in between. Both write an annotated "
        "video and a table.",
        "",
        "| program | video, frames/s | processor ms/frame | photograph, cold | warm |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, title in TITLES.items():
        lines.append(row(title, best[name]))
    goal = f"target: {TARGETS['frames_per_second']:g} frames/s, {TARGETS['cold_s']:g} s, {TARGETS['warm_ms']:g} ms"
    lines += ["", f"Cold: a new process, from start to result. Warm: everything is loaded ({goal})."]
    return "\n".join([*lines, "", *cores_needed(best), "", *parts_table(best["ours"])])


def cores_needed(best: dict[str, dict[str, Any]]) -> list[str]:
    """What the processor times mean, whatever else ran meanwhile."""
    needed = {
        name: TARGETS["frames_per_second"] * report["whole"]["processor_ms"] / 1000
        for name, report in best.items()
        if "error" not in report
    }
    if "ours" not in needed:
        return []
    words = f"In processor time, 25 frames/s take {needed['ours']:.1f} cores with fer-lmdb"
    others = [needed[name] for name in ("fer_haar", "fer_mtcnn") if name in needed]
    if others:
        words += " and " + " or ".join(f"{cores:.1f}" for cores in others) + " with fer"
    return [f"{words}. Wall-clock times are valid for the load stated above."]


def row(title: str, report: dict[str, Any]) -> str:
    """One line of the table."""
    if "error" in report:
        return f"| {title} | not measured: {report['error'][:150]} | | | |"
    whole = report["whole"]
    cold = f"{report['cold_s']:.1f} s ({report['cold_processor_s']:.1f} s processor)"
    return (
        f"| {title} | {whole['frames_per_second']:.1f} | {whole['processor_ms']:.1f} | {cold} "
        f"| {report['warm']['ms']:.0f} ms ({report['warm']['processor_ms']:.0f} ms processor) |"
    )


def parts_table(report: dict[str, Any]) -> list[str]:
    """Where our time goes."""
    if "error" in report:
        return []
    lines = ["| stage of fer-lmdb, per frame | wall-clock ms | processor ms |", "|---|--:|--:|"]
    for name, title in PARTS.items():
        lines.append(f"| {title} | {report['parts'][name]['ms']:.1f} | {report['parts'][name]['processor_ms']:.1f} |")
    total = sum(own["processor_ms"] for own in report["parts"].values())
    return [*lines, f"| sum | | {total:.1f} |"]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--environments", type=Path, default=REPOSITORY / ".benchmark-environments")
    parser.add_argument("--without-fer", action="store_true", help="measure fer-lmdb alone")
    parser.add_argument("--write", type=Path, help="Markdown file to write the table into")
    parser.add_argument("--work", nargs=4, metavar=("NAME", "CLIP", "PHOTO", "RESULT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work[0], *map(Path, options.work[1:]))
        return
    other: Path | str = "left out" if options.without_fer else environment(options.environments)
    pythons: dict[str, Path | str] = {"ours": Path(sys.executable), "fer_haar": other, "fer_mtcnn": other}
    reports: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = make_inputs(folder, options.frames)
        for _ in range(options.rounds):
            for program, python in pythons.items():
                one = {"error": python} if isinstance(python, str) else run_one(program, python, inputs, folder)
                print(program, json.dumps(one), file=sys.stderr)
                reports[program].append(one)
    from charts import bars
    from page import machine, write_section

    best = {program: best_of(own) for program, own in reports.items()}
    text = table(best, options.rounds, options.frames, machine())
    print(text)
    if options.write:
        speeds = {
            TITLES[name].strip("*"): one["whole"]["frames_per_second"] for name, one in best.items() if "whole" in one
        }
        chart = options.write.parent / "images" / "benchmark-end_to_end.png"
        text += "\n\n" + bars(chart, "Video, file to file, frames/s", speeds, "{:.1f}")
        write_section(options.write, "end_to_end", "End-to-end prediction", text)


if __name__ == "__main__":
    main()

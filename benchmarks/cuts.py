"""Recall and false alarms of the cut detection on generated shots: cuts, pans, zooms, fades, dissolves and flashes.

    python benchmarks/cuts.py [--shots 40] [--seed 0]

The shots are synthetic faces before random textures and the sample images of scikit-image. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
from skimage import data

from fer_lmdb.data.sources.synthetic import draw_face
from fer_lmdb.faces.cuts import CutDetector, similarity, thumbnail
from fer_lmdb.labels import FER2013

HEIGHT, WIDTH, FPS = 180, 320, 25
SAMPLES = ("astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "brick", "grass", "gravel", "page", "moon")
Frames = list[np.ndarray]


def scene(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Return a still of (2 HEIGHT, 2 WIDTH, 3) uint8: a person, two people, or a sample image."""
    size = (2 * WIDTH, 2 * HEIGHT)
    if kind == "sample":
        image = getattr(data, SAMPLES[rng.integers(len(SAMPLES))])()
        image = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
        return cv2.resize(image[:, :, :3], size, interpolation=cv2.INTER_AREA)
    noise = rng.integers(0, 255, (rng.integers(3, 9), rng.integers(4, 13), 3), dtype=np.uint8)
    image = cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
    for center in [0.5] if kind == "person" else [0.27, 0.73]:
        expression = FER2013.classes[rng.integers(len(FER2013))]
        side = int(HEIGHT * rng.uniform(0.6, 1.1))
        face, _ = draw_face(expression, rng, side)
        left, top = int(2 * WIDTH * center - side / 2), int(HEIGHT - side / 2)
        image[top : top + side, left : left + side] = face[:, :, None]
    return image


def view(image: np.ndarray, x: float = 0, y: float = 0, zoom: float = 1) -> np.ndarray:
    """Return the part of a still around its center, moved by x, y pixels."""
    width, height = WIDTH / zoom, HEIGHT / zoom
    patch = cv2.getRectSubPix(image, (round(width), round(height)), (WIDTH + x, HEIGHT + y))
    return cv2.resize(patch, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def film(frames: Frames, rng: np.random.Generator) -> Frames:
    """Add the noise of a camera."""
    return [np.clip(frame + rng.normal(0, 2.5, frame.shape), 0, 255).astype(np.uint8) for frame in frames]


def hold(still: np.ndarray, rng: np.random.Generator, count: int = 12) -> Frames:
    """Return a shot from a hand-held camera."""
    return [view(still, *rng.normal(0, 0.6, 2)) for _ in range(count)]


def pan(still: np.ndarray, rng: np.random.Generator, speed: float) -> Frames:
    """Return a shot from a camera that turns by some pixels per frame."""
    count = min(24, int(WIDTH / 2 / speed))
    return [view(still, speed * k - speed * count / 2, rng.normal(0, 0.5)) for k in range(count)]


def faded(frames: Frames, levels: np.ndarray) -> Frames:
    """Multiply each frame by a level."""
    return [(frame * level).astype(np.uint8) for frame, level in zip(frames, levels, strict=True)]


def flashed(frames: Frames, gain: float, length: int) -> Frames:
    """Overexpose some frames from the fifth on."""
    bright = [np.clip(frame.astype(float) * gain + 60, 0, 255).astype(np.uint8) for frame in frames[4 : 4 + length]]
    return frames[:4] + bright + frames[4 + length :]


def dissolved(one: np.ndarray, other: np.ndarray, count: int) -> Frames:
    """Blend one still into another."""
    return [cv2.addWeighted(view(one), 1 - t, view(other), t, 0) for t in np.linspace(0, 1, count)]


def clips(rng: np.random.Generator) -> Iterator[tuple[str, Frames, set[int]]]:
    """Yield the name, the frames and the positions of the cuts of one clip of each kind."""
    kinds = ("person", "two people", "sample")
    stills = [scene(rng, kinds[rng.integers(3)]) for _ in range(4)]
    people = [scene(rng, "person") for _ in range(2)]
    yield "cut between shots", hold(stills[0], rng) + hold(stills[1], rng), {12}
    yield "cut between two people in the same place", hold(people[0], rng) + hold(people[1], rng), {12}
    yield "cut to black", hold(stills[0], rng) + [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 6, {12}
    yield "cut during a pan", pan(stills[0], rng, 4) + pan(stills[1], rng, 4), {24}
    yield "hand-held shot", hold(stills[2], rng, 30), set()
    for speed in (4, 8, 16, 24):
        yield f"pan, {100 * speed / WIDTH * FPS:.0f} % of the width per second", pan(stills[3], rng, speed), set()
    yield "zoom, twofold in a second", [view(stills[2], zoom=2 ** (k / FPS)) for k in range(FPS)], set()
    yield "fade out and in", faded(hold(stills[0], rng, 25), np.abs(np.linspace(-1, 1, 25))), set()
    yield "exposure halved at once", faded(hold(stills[0], rng, 12), np.repeat([1.0, 0.5], 6)), set()
    yield "dissolve in a second", dissolved(stills[0], stills[1], FPS), set()
    yield "flash, one frame", flashed(hold(stills[1], rng), 2.5, 1), set()
    yield "flash, four frames", flashed(hold(stills[1], rng), 2.5, 4), set()


def cuts_of(frames: Frames) -> set[int]:
    """Return the positions where another shot begins that does not end within the length of a flash."""
    detector = CutDetector()
    shots = [detector.update(frame, index / FPS) for index, frame in enumerate(frames)]
    return {k for k in range(1, len(shots)) if shots[k] > max(shots[:k]) and shots[k - 1] not in shots[k:]}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shots", type=int, default=40, help="clips of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    results: dict[str, list[tuple[int, int, int, int, float]]] = defaultdict(list)
    for number in range(options.shots):
        rng = np.random.default_rng([options.seed, number])
        for name, frames, cuts in clips(rng):
            noisy = film(frames, rng)
            found = cuts_of(noisy)
            small = [thumbnail(frame) for frame in noisy]
            scores = [similarity(one, other) for one, other in pairwise(small)]
            extreme = min(scores) if not cuts else scores[min(cuts) - 1]
            results[name].append((len(cuts & found), len(cuts), len(found - cuts), len(frames), extreme))
    print("| clips | cuts found | false cuts | frames | correlation at the cut, or lowest: 5 %, median, 95 % |")
    print("|---|--:|--:|--:|--:|")
    for name, rows in results.items():
        hits, cuts, false, count, scores = (list(column) for column in zip(*rows, strict=True))
        share = f"{sum(hits)} of {sum(cuts)}" if sum(cuts) else ""
        spread = ", ".join(f"{value:.2f}" for value in np.quantile(scores, [0.05, 0.5, 0.95]))
        print(f"| {name} | {share} | {sum(false)} | {sum(count)} | {spread} |")


if __name__ == "__main__":
    main()

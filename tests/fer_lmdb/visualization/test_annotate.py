"""Annotations on images of any size: nothing is hidden or lost."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.errors import ImageError
from fer_lmdb.labels import SCHEMES
from fer_lmdb.results import FacePrediction
from fer_lmdb.visualization.annotate import annotate, font_size
from fer_lmdb.visualization.canvas import Canvas, Rect, font, text_width
from fer_lmdb.visualization.colors import COLORS, color_of, hex_of, text_color_on
from fer_lmdb.visualization.panel import make_panel, place_panel

HAPPY = {"angry": 0.01, "disgust": 0.0, "fear": 0.02, "happy": 0.9, "sad": 0.03, "surprise": 0.03, "neutral": 0.01}


def face(x: float, y: float, width: float, height: float, **changes: object) -> FacePrediction:
    fractions = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    landmarks = tuple((x + width * across, y + height * down) for across, down in fractions)
    facts: dict[str, object] = {"expression": "happy", "probabilities": HAPPY, "landmarks": landmarks, **changes}
    return FacePrediction((x, y, width, height), 0.99, **facts)  # type: ignore[arg-type]


def blank(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 120, np.uint8)


def has_color(image: np.ndarray, expression: str) -> bool:
    return bool((image == color_of(expression)).all(axis=2).any())


def test_the_input_is_not_modified() -> None:
    image = blank(500, 600)
    annotate(image, [face(100, 100, 150, 180)])
    assert (image == 120).all()


def test_without_faces_the_image_is_returned_unchanged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (450, 500, 3), dtype=np.uint8)
    np.testing.assert_array_equal(annotate(image, []), image)


def test_a_gray_image_is_annotated_in_color() -> None:
    gray = np.full((500, 600), 120, np.uint8)
    faces = [face(100, 100, 150, 180)]
    np.testing.assert_array_equal(annotate(gray, faces), annotate(blank(500, 600), faces))
    assert gray.shape == (500, 600)


def test_a_float_image_is_rejected() -> None:
    with pytest.raises(ImageError, match=r"found float64 \(5, 5, 3\), expected uint8"):
        annotate(np.zeros((5, 5, 3)), [])


def test_box_name_and_bars_are_drawn() -> None:
    drawn = annotate(blank(500, 600), [face(100, 100, 150, 180)])
    assert drawn.shape == (500, 600, 3)
    assert (drawn[150, 100] == color_of("happy")).all()  # left edge of the box
    assert (drawn[85:98, 101:105] == color_of("happy")).all()  # the name's background above it
    assert has_color(drawn, "sad")  # a bar
    assert (drawn[172, 145] == 255).all()  # the left eye


@pytest.mark.parametrize(("height", "width"), [(48, 48), (200, 200), (48, 400), (1, 1)])
def test_small_images_are_upscaled_until_text_is_legible(height: int, width: int) -> None:
    drawn = annotate(blank(height, width), [face(0, 0, width, height)])
    assert drawn.shape[0] >= 400
    assert has_color(drawn, "sad")


@pytest.mark.parametrize(("height", "width"), [(10, 20_000), (9_000, 10), (30, 3_000)])
def test_narrow_strips_are_upscaled_within_limits(height: int, width: int) -> None:
    drawn = annotate(blank(height, width), [face(0, 0, 10, 10)])
    assert drawn.shape[0] * drawn.shape[1] < 4 * max(height, width) * 400


def test_large_images_get_large_text() -> None:
    assert font_size([Rect(0, 0, 300, 400)], 6000, 4000) == pytest.approx(4000 / 55, abs=1)
    assert font_size([Rect(0, 0, 3000, 3500)], 6000, 4000) == pytest.approx(4000 / 22, abs=1)
    assert font_size([Rect(0, 0, 20, 20)], 500, 500) == 12


def test_a_close_up_gets_its_panel_beside_the_image() -> None:
    image = blank(500, 500)
    drawn = annotate(image, [face(20, 20, 460, 460)])
    assert drawn.shape[0] == 500
    assert drawn.shape[1] > 650
    assert not has_color(drawn[:, :500], "sad")
    assert has_color(drawn[:, 500:], "sad")


def test_a_video_frame_keeps_its_size() -> None:
    for height, width in ((480, 640), (100, 90)):
        assert annotate(blank(height, width), [face(5, 5, 80, 85)], same_size=True, note="25 fps").shape[:2] == (
            height,
            width,
        )


@pytest.mark.parametrize("box", [(-40, -40, 100, 120), (550, 430, 120, 120), (-50, 200, 2000, 60), (590, 2, 300, 400)])
def test_faces_that_extend_past_the_border(box: tuple[float, float, float, float]) -> None:
    drawn = annotate(blank(500, 600), [face(*box)])
    assert has_color(drawn, "happy")
    assert has_color(drawn, "sad")


def test_a_crowd_loses_no_bars() -> None:
    faces = [face(40 + 90 * column, 60 + 110 * row, 70, 80) for row in range(5) for column in range(6)]
    drawn = annotate(blank(640, 620), faces)
    found = (drawn == color_of("surprise")).all(axis=2)
    assert drawn.shape[1] > 620
    starts = found & ~np.roll(found, 1, axis=0) & ~np.roll(found, 1, axis=1)
    assert starts.sum() == len(faces)  # one bar of surprise for every face


def test_bars_hide_no_face() -> None:
    faces = [face(40 + 130 * column, 60, 100, 120, landmarks=None) for column in range(4)]
    before = annotate(blank(700, 600), [])
    drawn = annotate(before, faces)
    for one in faces:
        x, y, width, height = (int(value) for value in one.box)
        assert (drawn[y + 8 : y + height - 8, x + 8 : x + width - 8] == 120).all()


def test_the_track_id_is_drawn_in_videos() -> None:
    with_id, without = (annotate(blank(500, 600), [face(100, 100, 150, 180, id=i)]) for i in (7, None))
    assert (with_id[75:98, 100:300] != without[75:98, 100:300]).any()


def test_other_schemes_and_scripts() -> None:
    probabilities = {"счастье": 0.7, "contempt": 0.2, "怒り": 0.1}
    drawn = annotate(blank(500, 600), [face(100, 100, 150, 180, expression="счастье", probabilities=probabilities)])
    assert has_color(drawn, "contempt")


def test_a_panel_is_placed_to_the_right_if_it_fits() -> None:
    beside = Rect(100, 100, 100, 100)
    assert place_panel(80, 60, beside, [beside], (600, 400)).x == pytest.approx(206)
    blocked = [beside, Rect(200, 0, 400, 400)]
    assert place_panel(80, 60, beside, blocked, (600, 400)).right <= 100
    assert place_panel(80, 60, beside, [Rect(0, 0, 600, 400)], (600, 400)) is None
    assert place_panel(700, 60, beside, [beside], (600, 400)) is None


def test_bar_lengths_are_proportional_to_probabilities() -> None:
    panel = make_panel(face(0, 0, 10, 10), 20)
    canvas = Canvas(np.zeros((400, 400, 3), np.uint8))
    panel.draw(canvas, 0, 0)
    drawn = canvas.finish()
    lengths = {name: (drawn == color_of(name)).all(axis=2).sum(axis=1).max() for name in ("happy", "sad")}
    assert lengths["happy"] == pytest.approx(0.9 * 4.2 * 20, abs=1.5)
    assert lengths["sad"] == pytest.approx(0.03 * 4.2 * 20, abs=1.5)


def test_a_full_percentage_does_not_touch_its_bar() -> None:
    for size in (12, 20, 64):
        panel = make_panel(face(0, 0, 10, 10, probabilities={"happy": 1.0, "sad": 0.0}), size)
        end_of_bar = 0.5 * size + panel.names_width + 0.5 * size + 4.2 * size
        assert panel.width - 0.5 * size - text_width("100%", size, bold=True) > end_of_bar


def test_every_class_of_every_scheme_has_its_own_color() -> None:
    for scheme in SCHEMES.values():
        assert set(scheme.classes) <= set(COLORS)
        assert len({COLORS[name] for name in scheme.classes}) == len(scheme)


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    def luminance(color: tuple[int, int, int]) -> float:
        scaled = np.array(color) / 255
        linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("color", sorted(set(COLORS.values())))
def test_text_contrasts_with_its_background(color: tuple[int, int, int]) -> None:
    assert contrast(color, text_color_on(color)) > 4.5  # WCAG AA


def test_hex() -> None:
    assert hex_of((213, 94, 0)) == "#d55e00"


def test_the_font_is_cached() -> None:
    assert font(14) is font(14)


def test_a_canvas_is_extended_to_the_right() -> None:
    canvas = Canvas(blank(20, 30))
    canvas.extend_right(5, (1, 2, 3), min_height=25)
    assert canvas.pixels.shape == (25, 35, 3)
    assert (canvas.pixels[:20, :30] == 120).all()
    assert (canvas.pixels[:, 30:] == (1, 2, 3)).all()
    assert (canvas.pixels[20:] == (1, 2, 3)).all()


def test_a_face_that_is_held_over_looks_different() -> None:
    seen, held = (annotate(blank(500, 700), [face(100, 150, 150, 180, id=2, detected=one)]) for one in (True, False))
    count = [(image == color_of("happy")).all(axis=2).sum() for image in (seen[200:300, 90:260], held[200:300, 90:260])]
    assert count[0] > 1.5 * count[1] > 0  # a thinner box


def test_unsmoothed_probabilities_are_marks_on_the_bars() -> None:
    without = annotate(blank(500, 700), [face(100, 150, 150, 180, id=2)])
    marked = annotate(blank(500, 700), [face(100, 150, 150, 180, id=2, unsmoothed_probabilities=HAPPY)])
    assert (without != marked).any()
    assert make_panel(face(0, 0, 9, 9, unsmoothed_probabilities=HAPPY), 12).unsmoothed == tuple(HAPPY.values())
    assert make_panel(face(0, 0, 9, 9), 12).unsmoothed == ()


def test_a_pillow_image_is_annotated_like_its_file() -> None:
    image = Image.fromarray(blank(90, 120)).quantize(2)
    np.testing.assert_array_equal(annotate(image, []), annotate(blank(90, 120), []))

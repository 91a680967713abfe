"""Videos: stable track IDs, smoothed probabilities, broken videos end with an error."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from fer_lmdb import Recognizer
from fer_lmdb.errors import OptionError
from fer_lmdb.inference.video import SMOOTHING_SECONDS, ProbabilitySmoother, VideoRecognizer, predict_video
from fer_lmdb.io.video_writer import VideoWriter
from tests.fer_lmdb.io.video_files import encode, face


@pytest.fixture(scope="module")
def recognizer(trained) -> Recognizer:
    return Recognizer(trained.run.path, device="cpu")


def portrait() -> np.ndarray:
    from skimage import data

    return data.astronaut()[20:220, 120:320]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 frames: no person, then one person moving to the right, then a second one."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with VideoWriter(path) as video:
        for index in range(24):
            frame = np.full((240, 480, 3), 90, np.uint8)
            if index >= 6:
                left = 10 + 2 * index
                frame[20:220, left : left + 200] = portrait()
            if index >= 15:
                frame[20:220, 270:470] = portrait()[:, ::-1]
            video.add(frame, index / 25)
    return path


def test_people_keep_their_track_ids(clip: Path, recognizer: Recognizer) -> None:
    frames = list(predict_video(clip, recognizer, detect_every=3))
    assert [frame.frame for frame in frames] == list(range(24))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(24) / 25, atol=0.002)
    people = [[face.id for face in frame.faces] for frame in frames]
    assert people[:6] == [[]] * 6
    assert people[6:15] == [[1]] * 9
    assert people[15:] == [[1, 2]] * 9
    lefts = [frame.faces[0].box[0] for frame in frames[6:]]
    assert lefts[-1] - lefts[0] == pytest.approx(2 * 17, abs=8)


def test_the_json_of_a_frame(clip: Path, recognizer: Recognizer) -> None:
    document = list(predict_video(clip, recognizer, keep_images=False))[20].to_dict()
    assert list(document) == ["path", "frame", "time_s", "faces"]
    assert list(document["faces"][0]) == [
        "box", "score", "landmarks", "expression", "probabilities", "id", "detected", "unsmoothed_probabilities",
    ]  # fmt: skip
    assert document["path"] == str(clip)
    assert document["time_s"] == 0.8


def test_the_first_frame_equals_an_image(recognizer: Recognizer) -> None:
    image = np.ascontiguousarray(portrait())
    (tracked,) = VideoRecognizer(recognizer).update(image, 0.0)
    (face,) = recognizer.predict(image)
    np.testing.assert_allclose(tracked.box, face.box, atol=0.1)
    np.testing.assert_allclose(list(tracked.probabilities.values()), list(face.probabilities.values()), atol=1e-3)
    assert tracked.id == 1


def test_without_a_detector_every_frame_is_one_face(trained) -> None:
    frames = VideoRecognizer(Recognizer(trained.run.path, detector="none", device="cpu"))
    for index in range(3):
        (face,) = frames.update(np.full((60, 50, 3), 100, np.uint8), index / 25)
        assert face.box == (0, 0, 50, 60)
        assert face.id == 1


@pytest.mark.parametrize("detect_every", [12, 25])
def test_a_still_image_is_one_person_in_all_frames(trained, detect_every: int) -> None:
    frames = VideoRecognizer(Recognizer(trained.run.path, detector="none", device="cpu"), detect_every)
    results = [frames.update(np.full((60, 50, 3), 100, np.uint8), index / 25) for index in range(51)]
    assert [[face.id for face in faces] for faces in results] == [[1]] * 51


def test_a_face_that_is_missed_is_held_over_and_then_dropped(trained) -> None:
    """Frames of a portrait in a room, then of the room with the face covered, then of the portrait again."""
    frames = VideoRecognizer(Recognizer(trained.run.path, device="cpu"), detect_every=2)
    room = np.random.default_rng(0).integers(60, 200, (9, 16, 3), dtype=np.uint8).repeat(40, axis=0).repeat(40, axis=1)
    image = room.copy()
    image[80:280, 200:400] = portrait()
    covered = image.copy()
    covered[100:260, 240:360] = 90
    before = [frames.update(image, index / 25) for index in range(6)][-1]
    assert before[0].detected
    assert before[0].unsmoothed_probabilities is not None
    after = [frames.update(covered, (6 + index) / 25) for index in range(5)]
    assert [len(faces) for faces in after] == [1, 1, 1, 1, 0]  # for 0.2 s
    for (held,) in after[:4]:
        assert not held.detected
        assert held.probabilities == before[0].probabilities
        assert held.unsmoothed_probabilities is None
        assert held.to_dict()["detected"] is False
    frames.update(image, 0.44)  # without a run of the detector
    (back,) = frames.update(image, 0.48)
    assert back.id == before[0].id == 1


def test_one_frame_a_second_has_faces_only_where_they_are(recognizer: Recognizer, tmp_path: Path) -> None:
    one, two = face("happy", 17), face("surprise", 33)
    wall = np.full_like(one, 120)
    path = encode(tmp_path / "slow.mp4", [one, wall, two, wall, wall, one, wall, wall], rate=1)
    ids = [[found.id for found in frame.faces] for frame in predict_video(path, recognizer)]
    assert ids == [[1], [], [2], [], [], [3], [], []]


def test_a_cut_is_another_person(recognizer: Recognizer, tmp_path: Path) -> None:
    path = encode(tmp_path / "cut.mp4", [face("happy", 17)] * 8 + [face("surprise", 33)] * 8)
    frames = list(predict_video(path, recognizer))
    assert [[found.id for found in frame.faces] for frame in frames] == [[1]] * 8 + [[2]] * 8
    first, second = frames[7].faces[0], frames[8].faces[0]
    assert second.probabilities == second.unsmoothed_probabilities != first.probabilities


def test_pixels_that_are_not_square_do_not_matter(recognizer: Recognizer, tmp_path: Path) -> None:
    square = face("happy", 17, 320)
    narrow = np.asarray(Image.fromarray(square).resize((320, 480)))
    results = []
    for name, image, aspect in (("a.mp4", square, None), ("b.mp4", narrow, Fraction(3, 2))):
        (found,) = next(iter(predict_video(encode(tmp_path / name, [image] * 2, aspect=aspect), recognizer))).faces
        results.append(found)
    np.testing.assert_allclose(results[0].box, results[1].box, atol=6)
    assert results[0].expression == results[1].expression


def test_boxes_are_inside_the_frame(recognizer: Recognizer, tmp_path: Path) -> None:
    image = face("happy", 17)
    leaving = [np.pad(image[:, 6 * k :], ((0, 0), (0, 6 * k), (0, 0)), constant_values=130) for k in range(24)]
    boxes = [
        found.box
        for frame in predict_video(encode(tmp_path / "leaves.mp4", leaving), recognizer)
        for found in frame.faces
    ]
    assert len(boxes) > 10
    assert all(x >= 0 and y >= 0 and x + width <= 239 and y + height <= 239 for x, y, width, height in boxes)


def test_a_number_of_frames_a_second_is_looked_at(clip: Path, recognizer: Recognizer) -> None:
    frames = list(predict_video(clip, recognizer, fps=5))
    assert [frame.frame for frame in frames] == [0, 5, 10, 15, 20]
    assert [frame.frame for frame in predict_video(clip, recognizer, fps=100)] == list(range(24))
    with pytest.raises(OptionError, match="invalid fps: found 0"):
        next(predict_video(clip, recognizer, fps=0))


def test_a_truncated_video_ends_with_an_error(clip: Path, recognizer: Recognizer, tmp_path: Path) -> None:
    data = clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2])
    predictions = list(predict_video(tmp_path / "cut.mp4", recognizer))
    assert len(predictions) > 3
    assert predictions[-1].error is not None
    assert "cut.mp4: is " in predictions[-1].to_dict()["error"]
    assert all(prediction.error is None for prediction in predictions[:-1])


def test_a_file_that_is_not_a_video_is_one_error(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"rubbish" * 100)
    (frame,) = predict_video(tmp_path / "no.mp4", recognizer)
    assert frame.image is None
    assert "no.mp4: cannot be read as a video" in str(frame.error)


def test_iteration_can_be_stopped_early(clip: Path, recognizer: Recognizer) -> None:
    frames = predict_video(clip, recognizer)
    next(frames)
    frames.close()


def test_probabilities_are_smoothed_with_the_time_constant() -> None:
    smoother = ProbabilitySmoother()
    old, new = np.float32([1, 0]), np.float32([0, 1])
    np.testing.assert_array_equal(smoother.update(1, old, 0.0), old)
    np.testing.assert_allclose(smoother.update(1, new, SMOOTHING_SECONDS), [np.exp(-1), 1 - np.exp(-1)], atol=1e-6)
    np.testing.assert_array_equal(smoother.update(2, new, SMOOTHING_SECONDS), new)
    np.testing.assert_allclose(smoother.update(1, new, 100.0), new, atol=1e-6)


def test_smoothing_depends_on_time_not_on_the_number_of_frames() -> None:
    slow, fast = ProbabilitySmoother(), ProbabilitySmoother()
    target = np.float32([0, 1])
    for smoother in (slow, fast):
        smoother.update(1, np.float32([1, 0]), 0.0)
    one_step = slow.update(1, target, 0.2)
    for step in range(1, 21):
        many_steps = fast.update(1, target, 0.01 * step)
    np.testing.assert_allclose(many_steps, one_step, atol=1e-4)


def test_tracks_that_ended_are_dropped() -> None:
    smoother = ProbabilitySmoother()
    smoother.update(1, np.float32([1, 0]), 0.0)
    smoother.keep_until(0.005)
    np.testing.assert_array_equal(smoother.update(1, np.float32([0, 1]), 0.01), [0, 1])


def test_a_video_whose_size_changes_is_processed_to_its_end(recognizer: Recognizer, tmp_path: Path) -> None:
    """Two concatenated MPEG transport streams: 200 rows, then 120."""
    for name, height in (("a.ts", 200), ("b.ts", 120)):
        with av.open(str(tmp_path / name), "w") as file:
            stream = file.add_stream("mpeg2video", rate=25)
            stream.width, stream.height, stream.pix_fmt = 200, height, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(portrait()[:height]), format="rgb24")
            for index in range(4):
                frame.pts = index
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    (tmp_path / "ab.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    predictions = list(predict_video(tmp_path / "ab.ts", recognizer))
    heights = [one.image.shape[0] for one in predictions if one.image is not None]
    assert (heights[0], heights[-1]) == (200, 120)
    assert all(one.error is None for one in predictions)
    assert len(predictions[0].faces) == 1

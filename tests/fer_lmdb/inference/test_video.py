"""Videos: stable track IDs, smoothed probabilities, broken videos end with an error."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from fer_lmdb import Recognizer
from fer_lmdb.inference.video import SMOOTHING_SECONDS, ProbabilitySmoother, VideoRecognizer, predict_video
from fer_lmdb.io.video_writer import VideoWriter


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
    assert list(document["faces"][0]) == ["box", "score", "landmarks", "expression", "probabilities", "id"]
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


def test_a_person_who_left_is_not_classified_and_then_dropped(trained) -> None:
    """Three detections of a portrait, then an empty image, then the portrait again."""
    frames = VideoRecognizer(Recognizer(trained.run.path, device="cpu"), detect_every=2)
    image, empty = np.ascontiguousarray(portrait()), np.full((200, 200, 3), 90, np.uint8)
    before = [frames.update(image, index / 25) for index in range(6)][-1]
    after = [frames.update(empty, (6 + index) / 25) for index in range(4)]
    assert [len(faces) for faces in after] == [1, 1, 0, 0]
    assert all(faces[0].probabilities == before[0].probabilities for faces in after[:2])
    (back,) = frames.update(image, 0.4)
    assert back.id == before[0].id == 1


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
    smoother.keep_only({2})
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

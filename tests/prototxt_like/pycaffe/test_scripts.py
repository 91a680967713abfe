"""Scripts as people write them for pycaffe, run without changes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from prototxt_like.tools.command_line import main

# Such scripts leave files open.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

TRAIN = """
import os, sys
os.environ["GLOG_minloglevel"] = "2"
import numpy as np
import caffe
caffe.set_mode_cpu()
solver = caffe.SGDSolver(sys.argv[1])
print([(k, v.data.shape) for k, v in solver.net.blobs.items()])
niter, test_interval = 60, 30
train_loss = np.zeros(niter)
test_acc = []
for it in range(niter):
    solver.step(1)
    train_loss[it] = solver.net.blobs["loss"].data
    if it % test_interval == 0:
        solver.test_nets[0].share_with(solver.net)
        solver.test_nets[0].forward(start="data")
        correct = sum(solver.test_nets[0].blobs["ip2"].data.argmax(1) == solver.test_nets[0].blobs["label"].data)
        test_acc.append(correct / 8.0)
solver.net.save("trained.caffemodel")
print("loss", train_loss[-5:].mean() < 0.3, len(test_acc))
"""
SURGERY = """
import caffe
net = caffe.Net("deploy.prototxt", "tiny.caffemodel", caffe.TEST)
full = open("deploy.prototxt").read().replace('type: "InnerProduct"', 'type: "Convolution"').replace(
    'inner_product_param { num_output: 3', 'convolution_param { kernel_size: 1 num_output: 3')
full = full.replace('"fc"', '"fc-conv"')
open("full.prototxt", "w").write(full)
conv = caffe.Net("full.prototxt", "tiny.caffemodel", caffe.TEST)
conv.params["fc-conv"][0].data.flat = net.params["fc"][0].data.flat
conv.params["fc-conv"][1].data[...] = net.params["fc"][1].data
conv.save("full.caffemodel")
conv.blobs["data"].reshape(1, 3, 12, 11)
conv.reshape()
out = conv.forward()
print("{}".format(out["prob"].shape), (out["prob"].sum(1) - 1 < 1e-6).all())
"""
VISUALIZE = """
import numpy as np
import caffe
from caffe.proto import caffe_pb2
from google.protobuf import text_format
definition = caffe_pb2.NetParameter()
text_format.Merge(open("deploy.prototxt").read(), definition)
net = caffe.Net("deploy.prototxt", caffe.TEST, weights="tiny.caffemodel")
filters = net.params["conv"][0].data.transpose(0, 2, 3, 1)
filters = (filters - filters.min()) / (filters.max() - filters.min())
n = int(np.ceil(np.sqrt(filters.shape[0])))
tiles = filters.reshape((n, n) + filters.shape[1:]).transpose((0, 2, 1, 3, 4))
print(definition.name, tiles.reshape((n * tiles.shape[1], -1, 3)).shape)
for layer_name, blob in net.blobs.items():
    print(layer_name + "\\t" + str(blob.data.shape))
"""
CLASSIFY = """
import numpy as np, caffe
net = caffe.Net("deploy.prototxt", "tiny.caffemodel", caffe.TEST)
transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
transformer.set_transpose("data", (2, 0, 1))
transformer.set_mean("data", np.array([104, 117, 123]))
transformer.set_raw_scale("data", 255)
transformer.set_channel_swap("data", (2, 1, 0))
net.blobs["data"].reshape(50, 3, 6, 5)
image = caffe.io.load_image("image.png")
net.blobs["data"].data[...] = transformer.preprocess("data", image)
output = net.forward()
print(output["prob"][0].argmax() in range(3), output["prob"].shape)
top_inds = output["prob"][0].argsort()[::-1][:5]
print(len(top_inds))
"""
SPECIFICATION = """
import caffe
from caffe import layers as L, params as P
n = caffe.NetSpec()
n.data = L.DummyData(shape=dict(dim=[1, 3, 8, 8]))
n.conv = L.Convolution(n.data, kernel_size=3, num_output=2, weight_filler=dict(type='xavier'))
n.pool = L.Pooling(n.conv, pool=P.Pooling.MAX, kernel_size=2, stride=2)
open("spec.prototxt", "w").write(str(n.to_proto()))
net = caffe.Net("spec.prototxt", caffe.TRAIN)
net.forward()
print(net.blobs["pool"].data.shape, caffe.__version__, "Convolution" in caffe.layer_type_list())
"""


def run(script: str, folder: Path, *arguments: str) -> int:
    path = folder / "script.py"
    path.write_text(script)
    return main(["run", str(path), *arguments])


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLOG_minloglevel", "0")  # restored afterwards, since a script sets it


def test_training_by_steps(solver_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(TRAIN, solver_file.parent, str(solver_file)) == 0
    captured = capfd.readouterr()
    assert captured.out.splitlines()[-1] == "loss True 2"
    assert Path("trained.caffemodel").is_file()
    assert captured.err == ""


@pytest.mark.parametrize(
    ("script", "last_lines"),
    [
        (SURGERY, ["(1, 3, 1, 1) True"]),
        (VISUALIZE, ["tiny (6, 6, 3)", "data\t(2, 3, 6, 5)"]),
        (CLASSIFY, ["True (50, 3)", "3"]),
        (SPECIFICATION, ["(1, 2, 3, 3) 1.0.0 True"]),
    ],
)
def test_scripts_with_a_model(
    deploy: tuple[Path, Path], script: str, last_lines: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    cv2 = pytest.importorskip("cv2")
    import numpy as np

    cv2.imwrite("image.png", np.arange(7 * 8 * 3, dtype=np.uint8).reshape(7, 8, 3))
    assert run(script, deploy[0].parent) == 0
    assert set(last_lines) <= set(capfd.readouterr().out.splitlines())


def test_caffe_is_registered_for_the_script_only(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = "import sys, caffe.proto.caffe_pb2, helper\nprint(sys.argv[1:], __name__, helper.NAME)\n"
    (tmp_path / "helper.py").write_text("import caffe\nNAME = caffe.Net.__name__\n")
    assert run(script, tmp_path, "-a", "b") == 0
    assert capfd.readouterr().out == "['-a', 'b'] __main__ Net\n"
    assert "caffe" not in sys.modules
    sys.modules.pop("helper")


def test_missing_script(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "missing.py"]) == 1 and main(["run"]) == 2
    assert "missing.py: no such script" in capfd.readouterr().err

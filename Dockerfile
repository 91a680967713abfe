# fer-lmdb for processors, as a user without rights. How to use it: docs/howto/container.md

FROM python:3.11-slim AS build

# PyTorch's own index has wheels without CUDA, a tenth as large as those of PyPI.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PATH=/opt/fer-lmdb/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source

# First what changes rarely, so that a change of the program does not fetch PyTorch again.
COPY constraints.txt ./
RUN python -m venv /opt/fer-lmdb
RUN pip install --constraint constraints.txt --index-url "$TORCH_INDEX" torch
COPY setup.py pyproject.toml README.md LICENSE ./
COPY prototxt_like prototxt_like
COPY fer_lmdb fer_lmdb
# opencv-python needs libGL, which slim images lack: the headless wheel does everything but open windows.
RUN pip install --constraint constraints.txt '.[web,onnx]' \
 && pip uninstall --yes opencv-python \
 && pip install 'opencv-python-headless>=4.8,<5'
# What nothing needs at run time: 200 MB.
RUN cd /opt/fer-lmdb/lib/python3.11/site-packages && rm -r torch/test torch/include && pip uninstall --yes pip

FROM python:3.11-slim

COPY --from=build /opt/fer-lmdb /opt/fer-lmdb
# Any user may run it (docker run --user), also one without a home: what libraries want to cache goes to /tmp.
ENV PATH=/opt/fer-lmdb/bin:$PATH HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 1000 --no-create-home fer && install --directory --owner=fer /work
USER fer
WORKDIR /work
EXPOSE 8000
ENTRYPOINT ["fer-lmdb"]
CMD ["--help"]

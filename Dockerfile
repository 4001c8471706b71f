# A small image for processors:   docker build -t vsr .
# One for NVIDIA GPUs:            docker build -t vsr:cuda --target cuda .
#
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" vsr upscale in.mp4 out.mp4
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD:/work" vsr:cuda upscale in.mp4 out.mp4

FROM python:3.12-slim AS wheel
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS cuda
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/vsr
COPY --from=wheel /wheel /wheel
RUN /opt/vsr/bin/pip install --no-cache-dir "$(echo /wheel/*.whl)[tensorrt]"
ENV PATH=/opt/vsr/bin:$PATH HOME=/tmp
WORKDIR /work
ENTRYPOINT ["vsr"]

FROM python:3.12-slim AS cpu
COPY --from=wheel /wheel /wheel
RUN pip install --no-cache-dir /wheel/*.whl
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["vsr"]

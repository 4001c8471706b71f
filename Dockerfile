# A small image for processors:   docker build -t vsr .
# One for NVIDIA GPUs:            docker build -t vsr:cuda --target cuda .
# Neither was built yet.
#
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" vsr upscale in.mp4 out.mp4
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD:/work" vsr:cuda upscale in.mp4 out.mp4
#   docker run -p 8080:8080 vsr stream rtsp://camera/live rtsp://server/large --preview 0.0.0.0:8080 --token WORD

FROM python:3.12-slim AS wheel
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS cuda
RUN apt-get update \
    && apt-get install -y --no-install-recommends ffmpeg g++ python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/vsr
COPY --from=wheel /wheel /wheel
RUN /opt/vsr/bin/pip install --no-cache-dir "$(echo /wheel/*.whl)[tensorrt,live]"
COPY scripts/healthz.py /opt/vsr/
ENV PATH=/opt/vsr/bin:$PATH HOME=/tmp
WORKDIR /work
# Of a stream with its page at port 8080. What serves none there counts as healthy.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "/opt/vsr/healthz.py", "8080"]
ENTRYPOINT ["vsr"]

FROM python:3.12-slim AS cpu
RUN apt-get update \
    && apt-get install -y --no-install-recommends ffmpeg \
    && rm -rf /var/lib/apt/lists/*
COPY --from=wheel /wheel /wheel
RUN pip install --no-cache-dir "$(echo /wheel/*.whl)[live]"
COPY scripts/healthz.py /opt/vsr/
ENV HOME=/tmp
WORKDIR /work
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "/opt/vsr/healthz.py", "8080"]
ENTRYPOINT ["vsr"]

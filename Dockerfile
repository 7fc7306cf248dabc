# The worker: no torch, no servers, not root. Build: docker build -t content-signals .
FROM python:3.12-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY requirements-worker.lock ./
RUN uv venv /opt/signals && uv pip install --python /opt/signals/bin/python --require-hashes -r requirements-worker.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY processors processors
COPY streams streams
COPY cli cli
COPY embedded embedded
COPY triton_models triton_models
RUN uv pip install --python /opt/signals/bin/python --no-deps .

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 signals
COPY --from=build /opt/signals /opt/signals
ENV PATH=/opt/signals/bin:$PATH PYTHONUNBUFFERED=1
USER signals
WORKDIR /home/signals
ENTRYPOINT ["signals"]
CMD ["worker"]

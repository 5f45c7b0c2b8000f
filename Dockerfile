# The one image of docker-compose.yml: Lapwing and everything in requirements.txt, installed by hash, run by nobody
# special.
FROM python:3.12-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONPATH=/app \
    PATH=/app/bin:/app/.venv/bin:$PATH \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    DO_NOT_TRACK=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    GX_ANALYTICS_ENABLED=false \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false

WORKDIR /app
COPY requirements.txt requirements-tools.txt ./
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements-tools.txt \
    && uv venv /app/.venv \
    && uv pip sync --no-cache --require-hashes --compile-bytecode --python /app/.venv/bin/python requirements.txt

COPY . .
# Named volumes take over the owner of the folder they cover.
RUN useradd --system --uid 10001 --home-dir /airflow --create-home lapwing \
    && mkdir -p /app/data \
    && chown lapwing:lapwing /app/data /airflow
USER lapwing

CMD ["lapwing", "--help"]

# Builds the environment and the static files, then leaves the tools behind. No root in the result.
# `docker build .` makes the image of one program each, `--target all-in-one` the one of everything, with one volume.
FROM python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285 AS build
WORKDIR /app
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
COPY requirements.lock .
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
    && pip uninstall --yes setuptools pip
COPY . .
# Node.js is only needed to bring front-end parts in: it goes into an environment that stays behind.
RUN python -m venv /node && /node/bin/python -m fluxtracker.supervisor.frontend && rm -r build/npm
RUN SECRET_KEY=only-for-collecting-static-files FLUXTRACKER_DATA_DIR=/tmp/data \
    python manage.py collectstatic --noinput --verbosity 0

FROM python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285 AS base
RUN useradd --uid 10001 --create-home fluxtracker \
    && install --directory --owner=fluxtracker --mode=700 /data \
    && python -m pip uninstall --yes setuptools wheel pip
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 FLUXTRACKER_DATA_DIR=/data HOST=0.0.0.0 PORT=8000
COPY --from=build /venv /venv
COPY --from=build /app /app
USER fluxtracker
VOLUME /data
EXPOSE 8000

# The supervisor runs web, worker, beat and Debian's Valkey, on SQLite.
FROM base AS all-in-one
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends valkey-server && rm -rf /var/lib/apt/lists/*
USER fluxtracker
HEALTHCHECK --interval=30s --start-period=2m CMD ["python", "-m", "fluxtracker.supervisor.healthcheck", "web"]
CMD ["python", "-m", "fluxtracker.supervisor.main"]

FROM base AS app
HEALTHCHECK --interval=30s --start-period=20s CMD ["python", "-m", "fluxtracker.supervisor.healthcheck", "web"]
CMD ["python", "-m", "fluxtracker.web.server"]

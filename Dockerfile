# Builds the environment and the static files, then leaves the tools behind. No root in the result.
FROM python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7 AS build
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

FROM python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7
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
CMD ["python", "-m", "gunicorn", "--config", "python:fluxtracker.web.server", "fluxtracker.wsgi:application"]

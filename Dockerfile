# The application's image. Its database is elsewhere: the embedded server is for development, so
# that neither its programs nor the development tools are in here.
ARG PYTHON=3.13-slim-bookworm
ARG NODE=22-bookworm-slim

# --- GraphiQL, bundled so that the page loads nothing from another host ---
FROM node:${NODE} AS graphiql
WORKDIR /build
COPY app/graphiql/ ./
RUN npm ci --no-audit --no-fund && npm run build

# --- the Python environment, every package of it checked by hash ---
FROM python:${PYTHON} AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
WORKDIR /laurels
COPY requirements-uv.txt requirements-image.txt ./
RUN pip install --require-hashes -r requirements-uv.txt \
    && python -m venv --without-pip /opt/laurels \
    && uv pip sync --python /opt/laurels/bin/python --compile-bytecode --require-hashes \
        requirements-image.txt
COPY pyproject.toml ./
COPY laurels/ laurels/
# Both point at /laurels, as they point at the checkout in development.
RUN uv pip install --python /opt/laurels/bin/python --no-deps --no-build-isolation \
        -e ./laurels -e .

# --- what runs ---
FROM python:${PYTHON}
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin laurels
ENV PATH=/opt/laurels/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    LAURELS_HOST=0.0.0.0 LAURELS_PORT=8000
WORKDIR /laurels
COPY --from=environment /opt/laurels /opt/laurels
COPY pyproject.toml ./
COPY laurels/ laurels/
COPY core/ core/
COPY plugins/ plugins/
COPY schema/ schema/
COPY app/ app/
COPY programme.toml ./
COPY --from=graphiql /build/dist app/graphiql/dist
USER laurels
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
ENTRYPOINT ["laurels"]
CMD ["serve"]

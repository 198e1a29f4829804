# syntax=docker/dockerfile:1
# Targets: bot (adapters, console, migrations, backups; no torch), worker (CUDA), worker-cpu, gateway (WeChat, node).
# All run as uid 10001 and write nothing outside of /var/lib/mindglm, /models and /tmp.

ARG PYTHON=3.13.13-slim-trixie
ARG NODE=22.21.1-bookworm-slim


FROM python:${PYTHON} AS python
ENV PATH=/opt/mindglm/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MINDGLM_HOME=/var/lib/mindglm \
    MINDGLM_LOG_FORMAT=json
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/mindglm --shell /usr/sbin/nologin mindglm \
    && install --directory --owner=mindglm --group=mindglm --mode=0700 /var/lib/mindglm /models /backups


FROM python AS install
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_SYSTEM_CERTS=1
WORKDIR /source
COPY requirements/uv.txt requirements/build.txt requirements/
RUN pip install --no-cache-dir --require-hashes --requirement requirements/uv.txt \
    && uv pip install --system --no-cache --require-hashes --no-deps --requirement requirements/build.txt \
    && uv venv --python /usr/local/bin/python /opt/mindglm
ENV VIRTUAL_ENV=/opt/mindglm


FROM install AS wheel
COPY . .
RUN /usr/local/bin/python -m hatchling build --target wheel --directory /wheel


FROM install AS bot-environment
COPY requirements/bot.txt requirements/
RUN uv pip install --no-cache --require-hashes --no-deps --requirement requirements/bot.txt
COPY --from=wheel /wheel /wheel
RUN uv pip install --no-cache --no-deps /wheel/*.whl


FROM python AS bot
COPY --from=bot-environment /opt/mindglm /opt/mindglm
USER 10001:10001
WORKDIR /var/lib/mindglm
ENTRYPOINT ["mindglm"]
CMD ["--help"]


FROM install AS worker-environment
COPY requirements/worker.txt requirements/
RUN uv pip install --no-cache --require-hashes --no-deps --requirement requirements/worker.txt


# torch brings CUDA along; of the host it needs the driver only
FROM worker-environment AS cuda-environment
COPY requirements/cuda.txt requirements/
RUN uv pip install --no-cache --require-hashes --no-deps --requirement requirements/cuda.txt
COPY --from=wheel /wheel /wheel
RUN uv pip install --no-cache --no-deps /wheel/*.whl


FROM worker-environment AS cpu-environment
RUN uv pip install --no-cache --no-deps --torch-backend=cpu torch==2.13.0
COPY --from=wheel /wheel /wheel
RUN uv pip install --no-cache --no-deps /wheel/*.whl


FROM python AS worker-base
ENV HF_HOME=/models
USER 10001:10001
WORKDIR /var/lib/mindglm
ENTRYPOINT ["mindglm"]
CMD ["worker"]


FROM worker-base AS worker
COPY --from=cuda-environment /opt/mindglm /opt/mindglm


FROM worker-base AS worker-cpu
COPY --from=cpu-environment /opt/mindglm /opt/mindglm


FROM node:${NODE} AS gateway
ARG PUPPET
ENV NODE_ENV=production
WORKDIR /gateway
COPY gateway/package.json gateway/package-lock.json ./
# The puppet reaches WeChat; which one, and at which version, is the operator's choice and risk (docs/wechat.md).
# hadolint ignore=DL3016
RUN test -n "${PUPPET}" || { echo "set WECHAT_PUPPET to a puppet's package, name@version; see docs/wechat.md"; exit 1; } \
    && npm ci --omit=dev --ignore-scripts \
    && npm install --no-save --ignore-scripts "${PUPPET}" \
    && npm cache clean --force \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/gateway
COPY gateway/*.js ./
USER 10001:10001
ENTRYPOINT ["node", "main.js"]

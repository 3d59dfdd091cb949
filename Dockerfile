# The Mainstem server as a container image.
#
#     docker build -t mainstem .
#     docker run -p 127.0.0.1:8080:8080 -v mainstem:/var/lib/mainstem mainstem
#
# Inside a container the loopback address can't be reached from outside, so the server listens on
# all of the container's addresses. It refuses that without authentication unless --insecure is
# said; what keeps strangers out is that the port is published on the host's loopback address only.
# Leave that out, and everybody who reaches the host can read and write every event.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY tools/bootstrap tools/packages.txt tools/
RUN apt-get update && tools/bootstrap build
COPY . .
RUN make install PREFIX=/usr/local DESTDIR=/out && strip --strip-debug /out/usr/local/bin/mainstem

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
        ca-certificates curl \
        libcurl4 libcyaml1 libevent-2.1-7 libevent-openssl-2.1-7 libevent-pthreads-2.1-7 \
        libhttp-parser2.9 libisal2 libjansson4 liblz4-1 librocksdb7.8 libsnappy1v5 libssl3 \
        libxxhash0 libyaml-0-2 libzstd1 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/mainstem --create-home mainstem \
    && chmod 700 /var/lib/mainstem
COPY --from=build /out/usr/local/bin/mainstem /usr/local/bin/mainstem
USER mainstem
WORKDIR /var/lib/mainstem
VOLUME /var/lib/mainstem
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["mainstem"]
CMD ["serve", "--data", "/var/lib/mainstem", "--http", "0.0.0.0:8080", "--insecure"]

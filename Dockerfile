# The program in an image of its own: one static binary, the certificates it needs to fetch films, and nothing else.
#
#   docker build -t projectionist .
#   docker run -p 127.0.0.1:8000:8000 -v films:/data -e PROJECTIONIST_TOKEN=… projectionist
#
# In a container it listens beyond loopback, so it does not start without credentials: PROJECTIONIST_TOKEN, or
# PROJECTIONIST_USERS=name:password. deploy/compose.yaml runs it with Kafka, Prometheus and Grafana.
ARG GO_VERSION=1.26
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=0.1.0
ARG TARGETOS
ARG TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X github.com/projectionist/projectionist/internal/app.Version=$VERSION" -o /out/projectionist . \
    && mkdir -p /out/data && chmod 700 /out/data

FROM scratch
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Projectionist" \
      org.opencontainers.image.description="Event-sourced MLOps for movie recommendation" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/projectionist /projectionist
COPY --from=build --chown=65532:65532 /out/data /data
ENV PROJECTIONIST_DIR=/data \
    PROJECTIONIST_LISTEN=0.0.0.0:8000 \
    PROJECTIONIST_LISTEN_INFERENCE=0.0.0.0:8001 \
    PROJECTIONIST_LISTEN_WORKFLOWS=0.0.0.0:8080 \
    PROJECTIONIST_LISTEN_FEATURES=0.0.0.0:6566 \
    PROJECTIONIST_LISTEN_REGISTRY=0.0.0.0:6570 \
    PROJECTIONIST_LISTEN_OFFLINE=0.0.0.0:8815 \
    PROJECTIONIST_LISTEN_TRACKING=0.0.0.0:5000 \
    PROJECTIONIST_LISTEN_TOPICS=0.0.0.0:8082
USER 65532:65532
VOLUME /data
EXPOSE 8000 8001 8080 6566 6570 8815 5000 8082
# A new folder is filled and a model trained before recommendations can be served.
HEALTHCHECK --interval=10s --timeout=10s --start-period=5m --retries=3 CMD ["/projectionist", "ready"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/projectionist"]
CMD ["serve"]

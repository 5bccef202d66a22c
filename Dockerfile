# syntax=docker/dockerfile:1

# The image of prism-queue:
#
#   docker build --tag REGISTRY/prism-queue:0.1.0 . && docker push REGISTRY/prism-queue:0.1.0
#
# Both bases are pinned by tag, not by digest, so that a rebuild takes up their security fixes. Pin the digests where
# builds must be reproducible bit by bit.

# The toolchain of rust-toolchain.toml. The only native dependency, AWS-LC in the TLS stack, comes with its generated
# sources and needs a C compiler, which the slim image has: no CMake, no libclang.
FROM rust:1.95.0-slim-bookworm AS build
# Else rust-toolchain.toml would have rustup fetch clippy and rustfmt too.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY xtask xtask
# What is compiled stays in the cache mount, so the program is taken out within the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package prism-queue --bin prism-queue --bin kubectl-queue \
    && cp target/release/prism-queue target/release/kubectl-queue /

# The same release of Debian, for the same C library.
FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="prism-queue" \
      org.opencontainers.image.description="A Kubernetes operator that makes Amazon SQS queues declarative" \
      org.opencontainers.image.source="https://github.com/prism-queue/prism-queue" \
      org.opencontainers.image.licenses="Apache-2.0"
# The certificate authorities by which AWS is recognized.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# The operator, and the plugin of kubectl to take out of it or to run from it.
COPY --from=build /prism-queue /kubectl-queue /usr/local/bin/
COPY LICENSE /usr/share/doc/prism-queue/LICENSE
# By number, because runAsNonRoot cannot tell who a name is.
USER 65532:65532
# Health and metrics; the admission webhook, where it is on.
EXPOSE 8080 9443
ENTRYPOINT ["/usr/local/bin/prism-queue"]

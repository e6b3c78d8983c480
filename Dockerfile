# countersign in a container: built with the pinned toolchain, run without a shell and without root.
#
#   docker build -t countersign .
#   docker run --network host -v ./countersign.toml:/etc/countersign/countersign.toml:ro countersign
#
# Routes that take any caller are served on loopback and unix sockets only, hence the host's network (or a volume for
# the socket). The configuration and the files that it names must be readable by uid 65532.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# aws-lc-rs (TLS), SQLite and zstd compile C; the image brings gcc and libc, and on this target aws-lc-sys needs no cmake.
# First the dependencies alone, so that a change of our own sources does not rebuild them.
COPY Cargo.toml Cargo.lock build.rs ./
# The manifest names the benchmarks; cargo wants them to be there.
COPY benches ./benches
RUN mkdir -p src && echo '' > src/lib.rs && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked --bin countersign \
    && rm -r src
COPY src ./src
# Cargo decides by modification time; the copied sources may be older than the placeholder's build.
RUN touch src/lib.rs src/main.rs && cargo build --release --locked --bin countersign

# cc: glibc and libgcc, CA roots and nothing else; "nonroot" is uid 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/countersign /usr/local/bin/countersign
USER nonroot:nonroot
ENTRYPOINT ["/usr/local/bin/countersign"]
CMD ["serve", "--config", "/etc/countersign/countersign.toml"]

#!/usr/bin/env bash
# Builds the rivals and measures them on the benchmark's matrix: a JSON line each on stdout, all else on stderr.
# CARGO_TARGET_DIR says where to build; without it, in `target` next to this file.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=${CARGO_TARGET_DIR:-$here/target}

# `madsim` simulates only under this cfg; turmoil seeds its tokio runtimes only under `tokio_unstable`.
export RUSTFLAGS="--cfg madsim --cfg tokio_unstable"
unset CARGO_ENCODED_RUSTFLAGS

cargo build --release --locked --manifest-path "$here/Cargo.toml" --target-dir "$target" >&2 || {
    echo "rivals: the build failed, nothing was measured" >&2
    exit 1
}

measure() { # engine rate seeds
    "$target/release/rival-$1" --hosts 10 --rate "$2" --seconds 60 --seeds "$3" || {
        echo "rivals: $1 failed at $2 messages per second and host" >&2
        exit 1
    }
}

# Simulated time is the same everywhere, so that wall time per seed compares. Seeds make a measurement last 0.2 to 3 s:
# few for an engine that ticks, the more the less there is to do for one that does not.
while read -r rate seeds; do
    measure turmoil "$rate" 1
    measure madsim "$rate" "$seeds"
    measure moonpool "$rate" "$seeds"
done <<MATRIX
0 20000
1 500
10 50
100 5
MATRIX

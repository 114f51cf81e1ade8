#!/bin/bash
# Builds socsim for arm64, runs short pieces of the whole library on it in qemu, and compares the documents with those of the program for this machine: byte for byte, but for what the host took. It is
# skipped where there is no qemu, and installs that where it may.
set -eu -o pipefail

go=${GO:-go}
if [[ $($go env GOARCH) == arm64 ]]; then
	echo 'arm64: skipped: this machine is one, and there is nothing to compare with'
	exit
fi
qemu() { command -v qemu-aarch64-static || command -v qemu-aarch64; }
if ! qemu >/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
	echo 'arm64: installing qemu-user-static'
	apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends qemu-user-static >/dev/null 2>&1 || true
fi
if ! qemu=$(qemu); then
	echo 'arm64: skipped: there is no qemu-aarch64 (Debian: apt-get install qemu-user-static)'
	exit
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
GOARCH=$($go env GOHOSTARCH) $go build -o "$dir/host" ./cmd/socsim
GOARCH=arm64 $go build -o "$dir/arm64" ./cmd/socsim

short=(--set run.duration=20ms --set run.warmup=15ms)

# same WHAT ARGS...: both programs print the same, with the same exit code.
same() {
	local what=$1 here=0 there=0
	shift
	"$dir/host" "$@" >"$dir/host.out" 2>"$dir/errors" || here=$?
	"$qemu" "$dir/arm64" "$@" >"$dir/arm64.out" 2>/dev/null || there=$?
	for side in host arm64; do
		sed -i '/^ *"host": {/,/}/d' "$dir/$side.out"
	done
	if ((here != there)); then
		echo "arm64: $what: exit code $there, here $here" >&2
		exit 1
	fi
	if ((here > 1)); then
		echo "arm64: $what: socsim $* failed with exit code $here:" >&2
		cat "$dir/errors" >&2
		exit 1
	fi
	if ! diff "$dir/host.out" "$dir/arm64.out" >"$dir/diff"; then
		echo "arm64: $what: the results differ from this machine's (<):" >&2
		head -20 "$dir/diff" >&2
		exit 1
	fi
}

# Those of the library that begin within this time; expectations may fail in it.
library=()
for file in scenarios/*.yaml; do
	if "$dir/host" run "$file" "${short[@]}" --format csv >/dev/null 2>&1 || (($? == 1)); then
		library+=("$file")
	fi
done
same 'result documents' run "${library[@]}" "${short[@]}" --format json
"$dir/host" run camera-preview --strategy range,whole --set run.duration=40ms --format json >"$dir/documents.json" 2>/dev/null || true
same 'comparison' compare "$dir/documents.json" "$dir/documents.json" --strategy range,whole
same 'tables' run camera-preview --strategy range,whole "${short[@]}"
echo "arm64: the results of ${#library[@]} scenarios are the same"

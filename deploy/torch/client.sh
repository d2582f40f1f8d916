#!/usr/bin/env bash
# Exchanges models with PyTorch both ways, and has onnxruntime run those that are exported as ONNX, against a program of its own (client.py says
# what); then has the views folded again and compared. It installs PyTorch for the CPU from Debian, and safetensors, onnx and onnxruntime from PyPI
# into a venv: PyPI's torch brings gigabytes for graphics cards.
#
#   PROJECTIONIST_TEST_PORT   first of two ports, default 28950
#
# Exit status: 77 when a part cannot be had here, else 0 or 1.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit
export CGO_ENABLED=0
packages=(safetensors==0.8.0 onnx==1.23.2 onnxruntime==1.32.0 "numpy<2")
venv=${PROJECTIONIST_TORCH_HOME:-${HOME:?}/.cache/projectionist/torch}/venv-1
port=${PROJECTIONIST_TEST_PORT:-28950}
main=127.0.0.1:$port models=127.0.0.1:$((port + 1))
fail() { echo "FAILED: $*"; exit 1; }
cannot() { echo "torch: cannot be had: $*" >&2; exit 77; }

python=/usr/bin/python3 # whose packages Debian's are
has_torch() { "$python" -c 'import torch, venv, ensurepip' 2>/dev/null; }
has_torch || { apt-get update -qq && apt-get install -y -qq python3-torch python3-venv; } >/dev/null 2>&1
has_torch || cannot "Debian's packages python3-torch and python3-venv"
if ! [ -f "$venv/.complete" ]; then
	rm -rf "$venv"
	"$python" -m venv --system-site-packages "$venv" && "$venv/bin/pip" install -q "${packages[@]}" >/dev/null || cannot "${packages[*]} from PyPI"
	touch "$venv/.complete"
fi

work=$(mktemp -d)
pid=
cleanup() {
	[ -z "$pid" ] || { kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; }
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

go build -o "$work/projectionist" . || fail "it does not build"
"$venv/bin/python" "$here/ratings.py" "$work/set" || fail "no data set was written"
"$work/projectionist" serve --dir "$work/data" --data "$work/set" --mlflow-ui off --kafka off --listen "$main" --listen-inference "$models" >"$work/out" 2>&1 &
pid=$!
for _ in $(seq 1200); do
	! curl -fs "http://$main/readyz" >/dev/null || break
	kill -0 $pid 2>/dev/null || break
	sleep .5
done
curl -fs "http://$main/readyz" >/dev/null || { cat "$work/out"; fail "it is not ready"; }

OMP_NUM_THREADS=2 "$venv/bin/python" "$here/client.py" "$work/projectionist" "http://$main" "http://$models" "$work" 2>"$work/trace" || { cat "$work/trace"; tail -50 "$work/out"; fail "an exchange with PyTorch"; }
"$work/projectionist" verify --server "http://$main" >"$work/verify" 2>&1 || { cat "$work/verify"; fail "what was made is not folded the same again"; }

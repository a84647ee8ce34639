#!/usr/bin/env bash
# Fills each target's corpus with the project's own samples. What libFuzzer found before stays.
set -euo pipefail
cd "$(dirname "$0")/.."
seed() {
  mkdir -p "fuzz/corpus/$1"
  local target=$1 file
  shift
  for file in "$@"; do
    if [ -f "$file" ]; then cp -n "$file" "fuzz/corpus/$target/$(sha256sum "$file" | cut -c1-16)"; fi
  done
}
seed events events/*.json* events/chains/*
seed log_batches events/*.json
seed user_data tests/fixtures/user-data/*/* tests/fixtures/user_data/* events/facts/user-data/*
seed policies policy.yaml tests/fixtures/*.yaml
seed archives events/*.json*
seed manifests events/put-image*.json
seed references policy.yaml
# A line is what one log event holds; a reference is shorter still.
split --lines=1 --suffix-length=4 policy.yaml fuzz/corpus/references/line-
python3 - <<'PYTHON'
import json, pathlib
for path in pathlib.Path("events").glob("put-image*.json"):
    record = json.loads(path.read_text())
    manifest = ((record.get("detail") or record).get("requestParameters") or {}).get("imageManifest")
    if manifest:
        pathlib.Path("fuzz/corpus/manifests", path.stem).write_text(manifest)
for path in pathlib.Path("events").glob("*.json"):
    payload = json.loads(path.read_text())
    if isinstance(payload, dict) and "detail" in payload:
        pathlib.Path("fuzz/corpus/log_batches", path.stem).write_text(json.dumps(payload["detail"]))
PYTHON

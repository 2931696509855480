#!/usr/bin/env bash
# Resolve the lock files anew: exact versions with hashes, for every platform, without the name of any package index.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=(.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes
  --no-emit-index-url --no-annotate --no-header --upgrade)
"${compile[@]}" pyproject.toml --extra demo --extra otlp --extra relay --extra postgres --group dev locks/dev.in -o locks/dev.txt
"${compile[@]}" pyproject.toml --extra phone locks/train.in -o locks/train.txt
for set in locks/matrix-*.in; do
  "${compile[@]}" pyproject.toml --extra otlp --group dev "$set" -o "${set%.in}.txt"
done

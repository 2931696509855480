#!/usr/bin/env bash
# venv.sh DIR LOCK: a virtual environment in DIR with exactly the packages of LOCK, and this project (editable).
# Needs only python3 (3.11 or later; PYTHON names another one). Does nothing when DIR is up to date.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1 lock=$2 python=${PYTHON:-python3}

"$python" - <<'PY' || exit 1
import sys
if sys.version_info < (3, 11):
    sys.exit(f"Python 3.11 or later is needed, this is {sys.version.split()[0]}; set PYTHON=/path/to/python3.11")
PY

stamp=$(cat "$lock" pyproject.toml | cksum)
if [ "$(cat "$dir/.stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi

echo "setting up $dir from $lock" >&2
"$python" -m venv --clear "$dir"
pip=("$dir/bin/python" -m pip --disable-pip-version-check --quiet)
# uv installs the same locked packages in a tenth of the time; pip does it where uv cannot be had
if "${pip[@]}" install "uv>=0.9" 2>/dev/null && "$dir/bin/uv" pip install --quiet --python "$dir/bin/python" --require-hashes -r "$lock"; then
  "$dir/bin/uv" pip install --quiet --python "$dir/bin/python" --no-deps --no-build-isolation -e .
else
  "${pip[@]}" install --require-hashes -r "$lock"
  "${pip[@]}" install --no-deps --no-build-isolation -e .
fi
echo "$stamp" >"$dir/.stamp"

#!/usr/bin/env bash
# Every SDK against the fake provider, in environments of their own: one for what lives on httpx2, one for what came before.
# Extra arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
for set in httpx2 legacy; do
  scripts/venv.sh ".venvs/$set" "locks/matrix-$set.txt"
  echo "== matrix: $set"
  ".venvs/$set/bin/pytest" tests/sdks tests/fake_provider/test_fake_sdks.py -p no:cacheprovider "$@" || status=1
done
exit $status

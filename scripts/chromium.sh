#!/usr/bin/env bash
# Prints the path of a working Chromium (or Chrome) 120 or later, which the tests of the web page drive.
#
#   scripts/chromium.sh            find Chromium, else get Debian's package `chromium` with apt (root only)
#   scripts/chromium.sh --no-get   find it only; what the tests call
#
# Looked for in this order: $LLMTRACE_CHROMIUM (a path; no other place is tried when it is set), then `chromium`,
# `chromium-browser`, `google-chrome` and `google-chrome-stable` on PATH.
# Nothing is unpacked for those who are not root: a browser needs too many libraries of other packages.
# Standard output carries the answer alone, progress goes to standard error.
# Exit status: 0 found, 2 wrong usage, 3 Chromium cannot be had (last line of standard error says why).
set -euo pipefail
# shellcheck source=scripts/debian.sh
source "$(dirname "$0")/debian.sh"

readonly variable=LLMTRACE_CHROMIUM what='Chromium 120 or later' places='on PATH' package=chromium

works() {
    local version
    version=$("$1" --version 2>/dev/null) || return
    [[ $version =~ (Chromium|Chrome)[^0-9]*([0-9]+)\. ]] && ((BASH_REMATCH[2] >= 120))
}

candidates() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" || true
    done
}

find_or_get "$@"

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

readonly package=chromium

say() { printf 'chromium.sh: %s\n' "$*" >&2; }

give_up() {
    say "$*"
    exit 3
}

works() {
    local version
    version=$("$1" --version 2>/dev/null) || return
    [[ $version =~ (Chromium|Chrome)[^0-9]*([0-9]+)\. ]] && ((BASH_REMATCH[2] >= 120))
}

find_binary() {
    local name candidate
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        candidate=$(command -v "$name") || continue
        if works "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
        say "$candidate is not a working Chromium 120 or later, passed over"
    done
    return 1
}

install() {
    say "installing $package"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold "$package"; } >&2
}

print_named() {
    works "$LLMTRACE_CHROMIUM" || give_up "LLMTRACE_CHROMIUM=$LLMTRACE_CHROMIUM is not a working Chromium 120 or later"
    printf '%s\n' "$LLMTRACE_CHROMIUM"
}

main() {
    case ${1-} in
        --no-get | '') ;;
        *) say "usage: scripts/chromium.sh [--no-get]" && exit 2 ;;
    esac
    if [[ -n ${LLMTRACE_CHROMIUM-} ]]; then print_named && return; fi
    find_binary && return
    [[ ${1-} != --no-get ]] || give_up "no Chromium on PATH"
    command -v apt-get >/dev/null || give_up "no Chromium on PATH, and no apt to get it"
    [[ $(id -u) == 0 ]] || give_up "no Chromium on PATH; install Debian's package $package"
    install || give_up "$package could not be installed"
    find_binary || give_up "$package was installed but does not work"
}

main "$@"

#!/usr/bin/env bash
# Prints the path of a working Redis server (5 or later); `redis-cli` is beside it.
#
#   scripts/redis.sh            find Redis, else get Debian's package `redis-server` with apt
#   scripts/redis.sh --no-get   find it only; what the tests call
#
# Looked for in this order: $LLMTRACE_REDIS (a path; no other place is tried when it is set), `redis-server` and
# `valkey-server` on PATH, the cache ${XDG_CACHE_HOME:-$HOME/.cache}/llmtrace/redis/usr/bin/redis-server.
# Root has the package installed; others get it unpacked into the cache, without what it needs of other packages.
# Standard output carries the answer alone, progress goes to standard error.
# Exit status: 0 found, 2 wrong usage, 3 Redis cannot be had (last line of standard error says why).
set -euo pipefail
# shellcheck source=scripts/debian.sh
source "$(dirname "$0")/debian.sh"

readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/llmtrace/redis
readonly variable=LLMTRACE_REDIS what='Redis 5 or later' places="on PATH or in $cache" package=redis-server

works() {
    local version
    version=$("$1" --version 2>/dev/null) || return
    [[ $version =~ v=([0-9]+)\. ]] && ((BASH_REMATCH[1] >= 5))
}

candidates() {
    command -v redis-server || true
    command -v valkey-server || true
    printf '%s\n' "$cache/usr/bin/redis-server"
}

# The server and its client are in `redis-tools`, and the libraries that a plain system lacks in packages of their own.
unpack() {
    # shellcheck disable=SC2046 # one word for each package
    unpack_packages "$package" redis-tools $(libraries redis-tools 'jemalloc|hiredis|lua5\.1|atomic|systemd|lzf') && wrap
}

wrap() {
    local name
    mkdir -p "$cache/real"
    for name in redis-server redis-cli; do
        [[ -e $cache/usr/bin/$name ]] || continue
        cp -L --remove-destination "$cache/usr/bin/$name" "$cache/real/$name" || return
        rm -f "$cache/usr/bin/$name"
        write_program "$cache/usr/bin/$name" "\"$cache/real/$name\""
    done
}

find_or_get "$@"

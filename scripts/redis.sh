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

readonly package=redis-server
readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/llmtrace/redis
scratch=

say() { printf 'redis.sh: %s\n' "$*" >&2; }

give_up() {
    say "$*"
    exit 3
}

remove_scratch() {
    [[ -z $scratch ]] || rm -rf "$scratch"
}

works() {
    local version
    version=$("$1" --version 2>/dev/null) || return
    [[ $version =~ v=([0-9]+)\. ]] && ((BASH_REMATCH[1] >= 5))
}

find_binary() {
    local candidate
    for candidate in "$(command -v redis-server || true)" "$(command -v valkey-server || true)" \
        "$cache/usr/bin/redis-server"; do
        [[ -x $candidate ]] || continue
        if works "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
        say "$candidate is not a working Redis 5 or later, passed over"
    done
    return 1
}

# A server that the package would start is of no use here, and a policy that forbids it is no error.
install() {
    say "installing $package"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold "$package"; } >&2
}

# The server and its client are in `redis-tools`, and the libraries that a plain system lacks in packages of their own.
unpack() {
    local archive
    scratch=$(mktemp -d) && cd "$scratch" || return
    say "fetching $package"
    apt-get download redis-server redis-tools $(libraries) >&2 || return
    for archive in *.deb; do
        dpkg-deb -x "$archive" tree || return
    done
    mkdir -p "$cache" && cp -R tree/. "$cache"
    wrap
}

libraries() {
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances redis-tools 2>/dev/null | grep -E '^lib(jemalloc|hiredis|lua5\.1|atomic|systemd|lzf)' | sort -u || true
}

# The libraries are beside the programs, where the loader does not look.
wrap() {
    local name
    for name in redis-server redis-cli; do
        [[ -e $cache/usr/bin/$name ]] || continue
        mkdir -p "$cache/real"
        cp -L --remove-destination "$cache/usr/bin/$name" "$cache/real/$name" || return
        rm -f "$cache/usr/bin/$name"
        cat >"$cache/usr/bin/$name" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH=$(echo "$cache"/usr/lib/*-linux-*) exec "$cache/real/$name" "\$@"
WRAPPER
        chmod +x "$cache/usr/bin/$name"
    done
}

print_named() {
    works "$LLMTRACE_REDIS" || give_up "LLMTRACE_REDIS=$LLMTRACE_REDIS is not a working Redis 5 or later"
    printf '%s\n' "$LLMTRACE_REDIS"
}

main() {
    trap remove_scratch EXIT
    case ${1-} in
        --no-get | '') ;;
        *) say "usage: scripts/redis.sh [--no-get]" && exit 2 ;;
    esac
    if [[ -n ${LLMTRACE_REDIS-} ]]; then print_named && return; fi
    find_binary && return
    [[ ${1-} != --no-get ]] || give_up "no Redis on PATH or in $cache"
    command -v apt-get >/dev/null || give_up "no Redis on PATH or in $cache, and no apt to get it"
    if [[ $(id -u) == 0 ]]; then
        install || give_up "$package could not be installed"
    else
        unpack || give_up "$package could not be fetched"
    fi
    find_binary || give_up "$package was fetched but does not work"
}

main "$@"

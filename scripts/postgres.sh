#!/usr/bin/env bash
# Prints the folder with the programs of a PostgreSQL server (13 or later): `initdb`, `postgres`, `pg_ctl`.
#
#   scripts/postgres.sh            find PostgreSQL, else get Debian's package `postgresql` with apt
#   scripts/postgres.sh --no-get   find it only; what the tests call
#
# Looked for in this order: $LLMTRACE_POSTGRES (a folder; no other place is tried when it is set), beside the `postgres`
# on PATH, /usr/lib/postgresql/*/bin (the newest first), the same in the cache
# ${XDG_CACHE_HOME:-$HOME/.cache}/llmtrace/postgres.
# Root has the package installed; others get it unpacked into the cache, with the libraries that it is linked to.
# Standard output carries the answer alone, progress goes to standard error.
# Exit status: 0 found, 2 wrong usage, 3 PostgreSQL cannot be had (last line of standard error says why).
set -euo pipefail
# shellcheck source=scripts/debian.sh
source "$(dirname "$0")/debian.sh"

readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/llmtrace/postgres
readonly variable=LLMTRACE_POSTGRES what='PostgreSQL 13 or later' package=postgresql
readonly places="on PATH, in /usr/lib/postgresql or in $cache"

works() {
    local version
    [[ -x $1/initdb ]] || return
    version=$("$1/postgres" --version 2>/dev/null) || return
    [[ $version =~ PostgreSQL\)\ ([0-9]+) ]] && ((BASH_REMATCH[1] >= 13))
}

candidates() {
    local found
    if found=$(command -v postgres); then
        dirname "$(readlink -f "$found")"
    fi
    printf '%s\n' /usr/lib/postgresql/*/bin "$cache"/usr/lib/postgresql/*/bin | sort -rV
}

# The package `postgresql` is empty and depends on the one of the newest version.
unpack() {
    local server names='pq|icu|ldap|sasl|xml2|zstd|lz4|lzma|ssl|gssapi|krb5|k5crypto|keyutils'
    server=$(apt-cache depends "$package" 2>/dev/null | sed -n 's/^ *Depends: \(postgresql-[0-9]*\)$/\1/p' | head -1)
    [[ -n $server ]] || return
    # shellcheck disable=SC2046 # one word for each package
    unpack_packages "$server" $(libraries "$server" "$names") && wrap
}

# The programs look for each other, and for their data, from the place that they were called by.
wrap() {
    local program bin
    for bin in "$cache"/usr/lib/postgresql/*/bin; do
        mkdir -p "$bin/../programs"
        for program in initdb postgres pg_ctl; do
            mv "$bin/$program" "$bin/../programs/$program" || return
            write_program "$bin/$program" "-a \"$bin/$program\" \"$bin/../programs/$program\""
        done
    done
}

find_or_get "$@"

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

readonly package=postgresql
readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/llmtrace/postgres
scratch=

say() { printf 'postgres.sh: %s\n' "$*" >&2; }

give_up() {
    say "$*"
    exit 3
}

remove_scratch() {
    [[ -z $scratch ]] || rm -rf "$scratch"
}

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

find_programs() {
    local candidate
    while read -r candidate; do
        [[ -x $candidate/postgres ]] || continue
        if works "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
        say "$candidate has no working PostgreSQL 13 or later, passed over"
    done < <(candidates)
    return 1
}

# A server that the package would start is of no use here, and a policy that forbids it is no error.
install() {
    say "installing $package"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold "$package"; } >&2
}

# The package `postgresql` is empty and depends on the one of the newest version.
unpack() {
    local archive server
    server=$(apt-cache depends "$package" 2>/dev/null | sed -n 's/^ *Depends: \(postgresql-[0-9]*\)$/\1/p' | head -1)
    [[ -n $server ]] || return
    scratch=$(mktemp -d) && cd "$scratch" || return
    say "fetching $server"
    # shellcheck disable=SC2046 # one word for each package
    apt-get download "$server" $(libraries "$server") >&2 || return
    for archive in *.deb; do
        dpkg-deb -x "$archive" tree || return
    done
    mkdir -p "$cache" && cp -R tree/. "$cache"
    wrap
}

libraries() {
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
        "$1" 2>/dev/null | grep -E '^lib(pq|icu|ldap|sasl|xml2|zstd|lz4|lzma|ssl|gssapi|krb5|k5crypto|keyutils)' | sort -u || true
}

# The libraries are beside the programs, where the loader does not look; and the programs look for each other, and for
# their data, from the place that they were called by.
wrap() {
    local program bin
    for bin in "$cache"/usr/lib/postgresql/*/bin; do
        mkdir -p "$bin/../programs"
        for program in initdb postgres pg_ctl; do
            mv "$bin/$program" "$bin/../programs/$program" || return
            cat >"$bin/$program" <<WRAPPER
#!/usr/bin/env bash
LD_LIBRARY_PATH=$(echo "$cache"/usr/lib/*-linux-*) exec -a "$bin/$program" "$bin/../programs/$program" "\$@"
WRAPPER
            chmod +x "$bin/$program"
        done
    done
}

print_named() {
    works "$LLMTRACE_POSTGRES" || give_up "LLMTRACE_POSTGRES=$LLMTRACE_POSTGRES has no working PostgreSQL 13 or later"
    printf '%s\n' "$LLMTRACE_POSTGRES"
}

main() {
    trap remove_scratch EXIT
    case ${1-} in
        --no-get | '') ;;
        *) say "usage: scripts/postgres.sh [--no-get]" && exit 2 ;;
    esac
    if [[ -n ${LLMTRACE_POSTGRES-} ]]; then print_named && return; fi
    find_programs && return
    [[ ${1-} != --no-get ]] || give_up "no PostgreSQL on PATH, in /usr/lib/postgresql or in $cache"
    command -v apt-get >/dev/null || give_up "no PostgreSQL on PATH or in $cache, and no apt to get it"
    if [[ $(id -u) == 0 ]]; then
        install || give_up "$package could not be installed"
    else
        unpack || give_up "$package could not be fetched"
    fi
    find_programs || give_up "$package was fetched but does not work"
}

main "$@"

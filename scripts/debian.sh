# shellcheck shell=bash
# Sourced by the scripts that find a program, else get a package of Debian with apt. They say
#   variable, what, places, package: the variable that names the program, what it is, where else it is looked for, and
#     the package that has it
#   works PATH, candidates: whether that is one that will do, and which paths may be, the best first
#   cache, unpack: for those who are not root, where the package is unpacked to, and how; without it they get nothing
# and call `find_or_get "$@"`.
# shellcheck source=scripts/finding.sh
source "$(dirname "${BASH_SOURCE[0]}")/finding.sh"

# A server that the package would start is of no use here, and a policy that forbids it is no error.
install() {
    say "installing $package"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold "$package"; } >&2
}

# unpack_packages PACKAGE...: all of their files below the cache.
unpack_packages() {
    local archive
    scratch=$(mktemp -d) && cd "$scratch" || return
    say "fetching $1"
    apt-get download "$@" >&2 || return
    for archive in *.deb; do
        dpkg-deb -x "$archive" tree || return
    done
    mkdir -p "$cache" && cp -R tree/. "$cache"
}

# libraries PACKAGE NAMES: the packages that it needs, at any remove, whose names are `lib` and one of these.
libraries() {
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
        "$1" 2>/dev/null | grep -E "^lib($2)" | sort -u || true
}

# write_program PATH WORDS: a program that runs these words of a shell with the libraries of the cache, where the loader
# does not look.
write_program() {
    printf '#!/usr/bin/env bash\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$(echo "$cache"/usr/lib/*-linux-*)" "$2" >"$1"
    chmod +x "$1"
}

get() {
    if [[ $(id -u) == 0 ]]; then
        install || give_up "$package could not be installed"
    elif declare -F unpack >/dev/null; then
        unpack || give_up "$package could not be fetched"
    else
        give_up "no $what $places; install Debian's package $package"
    fi
}

find_or_get() {
    [[ ${1-} == --no-get || -z ${1-} ]] || wrong_use "[--no-get]"
    if [[ -n ${!variable-} ]]; then print_named "$variable" "$what" && return; fi
    print_found "$what" && return
    [[ ${1-} != --no-get ]] || give_up "no $what $places"
    command -v apt-get >/dev/null || give_up "no $what $places, and no apt to get it"
    get
    print_found "$what" || give_up "$package was fetched but does not work"
}

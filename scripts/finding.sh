# shellcheck shell=bash
# Sourced by the scripts that find a program: what they say, and the scratch folder that is gone when they end.
# Standard output carries the answer alone, progress goes to standard error.

scratch=

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

give_up() {
    say "$*"
    exit 3
}

remove_scratch() {
    [[ -z $scratch ]] || rm -rf "$scratch"
}
trap remove_scratch EXIT

# wrong_use WORDS: what may follow the script's name.
wrong_use() {
    say "usage: scripts/${0##*/} $1"
    exit 2
}

# print_named VARIABLE WHAT: the path that the variable has, if that `works`.
print_named() {
    works "${!1}" || give_up "$1=${!1} is not a working $2"
    printf '%s\n' "${!1}"
}

# print_found WHAT: the first of the `candidates` that `works`.
print_found() {
    local candidate
    while read -r candidate; do
        [[ -x $candidate ]] || continue
        if works "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
        say "$candidate is not a working $1, passed over"
    done < <(candidates)
    return 1
}

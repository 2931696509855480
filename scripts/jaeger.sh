#!/usr/bin/env bash
# Prints the path of a working Jaeger v2 binary (collector, memory storage and query service in one process).
#
#   scripts/jaeger.sh            find Jaeger, else build it with Go into the cache (minutes; Go's caches grow by 3 GB)
#   scripts/jaeger.sh --no-build find it only; what the tests call
#   scripts/jaeger.sh --docker   print the image of the same version instead, if a Docker daemon answers
#
# Looked for in this order: $LLMTRACE_JAEGER (a path; no other place is tried when it is set), `jaeger` and
# `jaeger-all-in-one` on PATH, the cache ${XDG_CACHE_HOME:-$HOME/.cache}/llmtrace/jaeger-<version>/jaeger.
# Standard output carries the answer alone, progress goes to standard error.
# Exit status: 0 found, 2 wrong usage, 3 Jaeger cannot be had (last line of standard error says why).
set -euo pipefail
# shellcheck source=scripts/finding.sh
source "$(dirname "$0")/finding.sh"

# Jaeger tags v2.x but kept a module path without /v2, so Go cannot ask for a v2 tag. Releases used to carry a v1
# and a v2 number both; v1.76.0 (2025-12-03) is v2.13.0 and the last v1 tag, hence the newest that Go can ask for.
readonly module=github.com/jaegertracing/jaeger version=1.76.0 image=jaegertracing/jaeger:2.13.0
readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/llmtrace/jaeger-$version
readonly what='Jaeger v2'

# Jaeger v1 has binaries of the same names; only v2 knows `components`, and lists its storage extension there.
works() {
    local parts
    parts=$("$1" components 2>/dev/null) && [[ $parts == *jaeger_storage* ]]
}

candidates() {
    command -v jaeger || true
    command -v jaeger-all-in-one || true
    printf '%s\n' "$cache/jaeger"
}

# Not `go install`: it refuses a module whose go.mod has a replace directive, as Jaeger's has. Built in a copy of
# the module instead, so that Jaeger's own go.mod (replace included) and go.sum decide what goes in.
build() {
    local source
    scratch=$(mktemp -d) && cd "$scratch" || return
    export GOWORK=off CGO_ENABLED=0
    say "fetching $module v$version"
    go mod download "$module@v$version" >&2 || return
    source=$(go list -mod=readonly -m -f '{{.Dir}}' "$module@v$version") || return
    cp -R "$source" source && chmod -R u+w source || return
    cd source || return
    say "building, this takes minutes"
    go build -mod=readonly -p 2 -trimpath -ldflags '-s -w' -o "$scratch/jaeger" ./cmd/jaeger >&2 || return
    works "$scratch/jaeger"
}

# Renamed within the cache, so that another run never sees half a file.
keep() {
    local partial=$cache/.jaeger.$$
    mkdir -p "$cache" && mv "$scratch/jaeger" "$partial" && mv "$partial" "$cache/jaeger"
}

print_image() {
    docker info >/dev/null 2>&1 || give_up "no Docker daemon answers"
    printf '%s\n' "$image"
}

main() {
    case ${1-} in
        --docker) print_image && return ;;
        --no-build | '') ;;
        *) wrong_use "[--no-build | --docker]" ;;
    esac
    if [[ -n ${LLMTRACE_JAEGER-} ]]; then print_named LLMTRACE_JAEGER "$what" && return; fi
    print_found "$what" && return
    [[ ${1-} != --no-build ]] || give_up "no $what on PATH or in $cache"
    command -v go >/dev/null || give_up "no $what on PATH or in $cache, and no Go to build it"
    build || give_up "Jaeger v$version could not be built with $(go version)"
    keep || give_up "cannot write to $cache"
    printf '%s\n' "$cache/jaeger"
}

main "$@"

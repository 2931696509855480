#!/usr/bin/env bash
# Prints the folder whose `node_modules` has the Node clients that the relay is tested with (tests/relay/clients).
#
#   scripts/node_clients.sh            find them, else install them with `npm ci`
#   scripts/node_clients.sh --no-get   find them only; what the tests call
#
# Looked for in $LLMTRACE_NODE_CLIENTS (a folder; no other place is tried when it is set), else in the cache
# ${XDG_CACHE_HOME:-$HOME/.cache}/llmtrace/node-clients, in a folder for each lock file: nothing is put into the tree.
# Node 20 or later and npm must be there. No script of a package is run.
# Standard output carries the answer alone, progress goes to standard error.
# Exit status: 0 found, 2 wrong usage, 3 they cannot be had (last line of standard error says why).
set -euo pipefail
# shellcheck source=scripts/finding.sh
source "$(dirname "$0")/finding.sh"

here=$(cd "$(dirname "$0")/../tests/relay/clients" && pwd)
readonly here
readonly node_major=20

require_node() {
    local version
    version=$(node --version 2>/dev/null) || give_up "there is no node on PATH; install Node $node_major or later"
    [[ $version =~ ^v([0-9]+)\. ]] && ((BASH_REMATCH[1] >= node_major)) ||
        give_up "node is $version; install Node $node_major or later"
}

works() {
    [[ -f $1/node_modules/openai/package.json && -f $1/node_modules/@anthropic-ai/sdk/package.json ]]
}

folder_of_lock() {
    local digest
    digest=$(sha256sum "$here/package.json" "$here/package-lock.json" | cut -d ' ' -f 1 | sha256sum)
    printf '%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}/llmtrace/node-clients/${digest:0:16}"
}

# Two runs may do this at once: each has a folder of its own, and the first one's stays.
install() {
    local folder=$1
    mkdir -p "$(dirname "$folder")"
    scratch=$(mktemp -d "$folder.XXXXXX")
    cp "$here/package.json" "$here/package-lock.json" "$scratch"
    say "installing the clients of tests/relay/clients/package-lock.json"
    (cd "$scratch" && npm ci --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error) >&2 || return
    mv -T "$scratch" "$folder" 2>/dev/null || works "$folder"
}

main() {
    local folder
    case ${1-} in
        --no-get | '') ;;
        *) wrong_use "[--no-get]" ;;
    esac
    require_node
    folder=${LLMTRACE_NODE_CLIENTS-}
    if [[ -n $folder ]]; then
        works "$folder" || give_up "LLMTRACE_NODE_CLIENTS=$folder has no node_modules with openai and @anthropic-ai/sdk"
        printf '%s\n' "$folder" && return
    fi
    folder=$(folder_of_lock)
    if ! works "$folder"; then
        [[ ${1-} != --no-get ]] || give_up "the Node clients are not installed in $folder"
        command -v npm >/dev/null || give_up "there is no npm on PATH to install the Node clients with"
        install "$folder" || give_up "the Node clients could not be installed"
    fi
    printf '%s\n' "$folder"
}

main "$@"

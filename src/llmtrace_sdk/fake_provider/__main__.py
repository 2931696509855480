"""`python -m llmtrace_sdk.fake_provider [--host H] [--port N]`: serves until interrupted."""

from __future__ import annotations

import argparse

from .server import run


def main() -> None:
    """Parses the arguments and serves."""
    parser = argparse.ArgumentParser(prog="llmtrace fake-provider", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port, which is announced")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when standard input ends")
    options = parser.parse_args()
    run(options.host, options.port, until_stdin_closes=options.until_stdin_closes)


if __name__ == "__main__":
    main()

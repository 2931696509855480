"""The `llmtrace` command."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import llmtrace_sdk

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0 success, 1 flagged or failed, 2 wrong usage)."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.run is None:
        parser.print_help()
        return 2
    try:
        status: int = options.run(options)
    except llmtrace_sdk.ConfigError as error:
        print("\n".join(f"configuration: {problem}" for problem in error.problems), file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmtrace", description="Security and observability for language model calls."
    )
    parser.add_argument("--version", action="version", version=f"llmtrace-sdk {llmtrace_sdk.__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    demo = commands.add_parser(
        "demo", help="the real openai client against the bundled fake provider; no key, no network"
    )
    demo.set_defaults(run=_demo)
    fake = commands.add_parser("fake-provider", help="a local server that speaks the providers' wire formats")
    fake.add_argument("--host", default="127.0.0.1")
    fake.add_argument("--port", type=int, default=0, help="0 (the default) picks a free one and prints it")
    fake.set_defaults(run=_fake_provider)
    scan = commands.add_parser("scan", help="findings of one text; exit status 1 when flagged")
    scan.add_argument("text", nargs="?", default="-", help="the text, or - for standard input")
    scan.add_argument("--channel", default="user", choices=("user", "assistant", "system", "tool", "data"))
    scan.add_argument("--json", action="store_true", help="print one JSON object")
    scan.add_argument("--jsonl", action="store_true", help='rows {"id", "text", "channel"?} in, one row out for each')
    scan.set_defaults(run=_scan)
    evaluate = commands.add_parser("eval", help="how well attacks are told from benign texts, on labelled rows")
    evaluate.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help='JSON lines, gzipped or not: {"text", "label" (1 attack, 0 benign), "channel"?, "source"?}',
    )
    evaluate.add_argument("--json", action="store_true", help="print one JSON object")
    evaluate.set_defaults(run=_eval)
    child = commands.add_parser("run", help="run a Python program with every httpx and httpx2 client instrumented")
    child.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="for example: -- python app.py")
    child.set_defaults(run=_run)
    relay = commands.add_parser("relay", help="a proxy that runs the same pipeline for programs in other languages")
    _relay_options(relay)
    relay.set_defaults(run=_relay)
    config = commands.add_parser(
        "config", help="effective settings and their sources, everything wrong with them, or their JSON Schema"
    )
    config.add_argument("what", choices=("show", "validate", "schema"))
    config.add_argument("--file", help="YAML or TOML; default: the file that LLMTRACE_CONFIG names")
    config.set_defaults(run=_config)
    return parser


def _demo(_options: argparse.Namespace) -> int:
    from llmtrace_sdk.commands import demo

    return demo.main()


def _fake_provider(options: argparse.Namespace) -> int:
    from llmtrace_sdk.fake_provider import run

    run(options.host, options.port)
    return 0


def _scan(options: argparse.Namespace) -> int:
    from llmtrace_sdk.commands import scan

    if options.jsonl:
        return scan.rows(sys.stdin.buffer, sys.stdout.buffer)
    text = sys.stdin.read() if options.text == "-" else options.text
    return scan.one(text, options.channel, as_json=options.json)


def _eval(options: argparse.Namespace) -> int:
    from llmtrace_sdk.commands import evaluate

    return evaluate.run(options.files, as_json=options.json)


def _run(options: argparse.Namespace) -> int:
    from llmtrace_sdk.commands import run

    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        print("llmtrace run needs a command, for example: llmtrace run -- python app.py", file=sys.stderr)
        return 2
    return run.run(command)


def _relay_options(parser: argparse.ArgumentParser) -> None:
    """Here, so that the command's help does not need what the relay needs."""
    parser.add_argument("--config", metavar="FILE", help="YAML or TOML; default: the file that LLMTRACE_CONFIG names")
    parser.add_argument("--upstream", metavar="URL", help="where calls go (upstream_url)")
    parser.add_argument("--host", help="the address to listen at (listen_addr)")
    parser.add_argument("--port", type=int, help="the port to listen at (listen_addr); 0 picks a free one")
    parser.add_argument("--workers", type=int, default=1, help="how many processes serve (default: 1)")


def _relay(options: argparse.Namespace) -> int:
    try:
        from llmtrace_relay import command
    except ModuleNotFoundError as missing:
        print(f"the relay needs {missing.name}: pip install 'llmtrace-sdk[relay]'", file=sys.stderr)
        return 2
    return command.run(options)


def _config(options: argparse.Namespace) -> int:
    from llmtrace_sdk.commands import config

    return config.run(options.what, options.file)


if __name__ == "__main__":
    sys.exit(main())

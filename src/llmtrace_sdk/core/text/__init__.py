"""Reading a text as a person would: folded, decoded, joined, with every offset led back to the original."""

from llmtrace_sdk.core.text.decode import decodings
from llmtrace_sdk.core.text.fold import fold, fold_pattern
from llmtrace_sdk.core.text.join import joined
from llmtrace_sdk.core.text.view import Sign, View

__all__ = ["Sign", "View", "decodings", "fold", "fold_pattern", "joined"]

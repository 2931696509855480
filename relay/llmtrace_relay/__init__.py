"""The llmtrace relay: the same pipeline as a transparent proxy for programs that cannot be instrumented.

Not built yet: this package only reserves its place. See README.md beside it.
"""

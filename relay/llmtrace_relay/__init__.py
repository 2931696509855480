"""The llmtrace relay: the same pipeline as a transparent proxy for programs that cannot be instrumented."""

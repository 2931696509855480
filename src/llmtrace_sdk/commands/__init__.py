"""What the `llmtrace` command can do, one file each."""

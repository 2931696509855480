"""What llmtrace adds to a call, measured side by side with the bare client in one run: `make bench`."""

"""Spans, metrics and their set-up: the only place that spells OpenTelemetry attribute names."""

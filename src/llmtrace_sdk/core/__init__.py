"""The sans-IO core: no sockets, files, clock, random numbers, environment, logging, threads, async or OpenTelemetry."""

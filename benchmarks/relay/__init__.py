"""The relay beside a bare proxy of the same server and client, in one run: `make bench-relay`."""

"""What models cost: the list that ships, a file of the user's, prices of the configuration.

The list is a snapshot of genai-prices (MIT), which its maintainers keep up with the vendors' price pages: it is made
at development time by `pricing.snapshot` and read here without that library, whose import would take 0.3 s and 28 MB in
every program, and brings an HTTP client that fetches. Nothing here uses the network.
"""

from __future__ import annotations

from llmtrace_sdk.pricing.pricelist import Pricing

__all__ = ["Pricing"]

"""Where a reader can look a transaction up."""

from __future__ import annotations

from django.conf import settings


def transaction_url(txid: str) -> str:
    """The transaction's page at the explorer whose API is configured."""
    return f"{settings.FLUX_EXPLORER_URL.removesuffix('/api')}/tx/{txid}"

"""The five comparisons, made ahead."""

from __future__ import annotations


def keep_warm() -> None:
    """Make the comparisons anew whose stamp has changed."""

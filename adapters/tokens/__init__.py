"""Who a phone belongs to: the `Tokens` port over pyjwt. Read `core_tokens.py`."""

from __future__ import annotations

from adapters.tokens.core_tokens import INVALID, NO_USER_ID, CoreTokens

__all__ = ["INVALID", "NO_USER_ID", "CoreTokens"]

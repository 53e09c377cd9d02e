"""Who a phone belongs to: the `Tokens` port over pyjwt. Read `core_tokens.py`.

What the console signs (cookies, forms, one-time links) is in `console_keys.py`.
"""

from __future__ import annotations

from adapters.tokens.console_keys import LINK_PREFIX, ConsoleKeys
from adapters.tokens.core_tokens import INVALID, NO_USER_ID, CoreTokens
from adapters.tokens.revocations import Revocations

__all__ = ["INVALID", "LINK_PREFIX", "NO_USER_ID", "ConsoleKeys", "CoreTokens", "Revocations"]

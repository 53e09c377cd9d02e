"""How the assistant's voice stands in the catalogue."""

from __future__ import annotations

import hashlib

from ..built_in import SCHEME
from ..ports import AppDocument, Permission


def soga_document(package_name: str, key: str) -> AppDocument:
    """The app's document.

    Args:
      key: what its sessions say at the door; nobody outside knows it.
    """
    return AppDocument(
        package_name=package_name,
        public_url=f"{SCHEME}{package_name}",
        hashed_api_key=hashlib.sha256(key.encode()).hexdigest(),
        name="Assistant",
        app_type="background",
        is_system=True,
        description="Ask your assistant, and allow what its agents want to do.",
        permissions=(Permission("MICROPHONE", "hears the wake phrase, questions and answers"),),
    )

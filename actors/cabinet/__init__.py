"""The cabinet: what a user keeps beyond sessions: settings, installed apps, and what apps keep for them.

`preferences.py` and `storage.py` say what a document is and what an edit makes of it (pure), `tickets.py` the
single-use tokens of web views, `actor.py` writes them: one edit of a document after the other, and no answer
before it is stored. Who only reads asks the store (`reading.py`).
"""

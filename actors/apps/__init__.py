"""App sessions: one actor per app and user.

`lifecycle.py` decides what happens next (pure), `actor.py` performs it, `handler.py` brings what the app
says.
"""

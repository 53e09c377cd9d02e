"""The session: a user's control plane.

`state.py` is what it knows and what follows from that (pure), `actor.py` what it does, `wire.py` what it
says.
"""

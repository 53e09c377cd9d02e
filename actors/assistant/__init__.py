"""The MasterAgent: a user's queries, answered by a language model, its tools and the user's own desktop.

Read `messages.py` for what it understands.
"""

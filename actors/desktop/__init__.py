"""Desktop daemons and their agents, as the server sees them.

One desk a user, beside the user's session and independent of it: `desktops` knows the daemons and the agents,
`actors.assistant` the tasks. Read `messages.py` for what they say to one another.
"""

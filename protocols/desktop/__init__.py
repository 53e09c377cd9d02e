"""The wire between a user, the server and a desktop daemon (desktop.md sections 2 to 5).

`frames`: what goes over `/ws/daemon`. `reports`: what a daemon posts. `documents`: what is kept and shown.
`lens`: what fits on the glasses.
"""

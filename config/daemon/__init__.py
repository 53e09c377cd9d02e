"""The desktop daemon as a program: its folder, its settings, its assembly, its login.

`actors.desktop_daemon` decides, `adapters.desktop_uplink`, `adapters.desktop_state` and `adapters.terminal`
reach outside; here they are put together. `docs/desktop.md` has it for users.
"""

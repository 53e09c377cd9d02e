"""The phone's link: its connection, replaced on every reconnect, and whether it is alive."""

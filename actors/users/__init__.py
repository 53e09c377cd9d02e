"""The users: one subtree each, and the roster that finds or makes them."""

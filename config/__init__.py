"""Typed settings, the assembly and the command line: the only room that knows every other.

`config.settings` reads the settings, `config.assembly` builds the tree from them, `config.cli` is the command
`glasshouse`. Nothing is imported here, so that a command starts with only what it needs.
"""

__version__ = "0.1.0"

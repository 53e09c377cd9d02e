"""The MasterAgent: answers a wearer's questions, by a language model, by tools and by agents on desktops.

`flow.py` is one task as a machine, with what it says to models in `deciding.py` and `synthesis.py`;
`actor.py` runs a user's machines side by side and keeps them; `tools.py` is what a model may look at;
`rules.py` stands in for a model where there is no key.
"""

"""Snapshots: what of a session outlives the process, written behind, and how the next process takes it up.

`snapshot.py` is what is kept and its form on disk, `resumption.py` how a session goes on from it (both pure),
`actor.py` writes, `loading.py` reads, `farewell.py` has the last of everything written before an orderly end.
"""

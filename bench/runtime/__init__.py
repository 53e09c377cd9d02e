"""`glasshouse bench runtime`: what the actor runtime costs, beside a bare loop, other libraries and Erlang.

Every cell of the table (a workload, a system, a number of actors) is a process of its own on one core, and
what counts is its CPU time: on a shared machine the clock on the wall says little. `matrix` says what is
measured and what is aimed at; a system is a module with the same workloads under the same names (`ours`,
`bare`, `channels` and `queues` over `readers`, `threads`, `thespians`, and `otp` for Erlang); `gates` are the
leak and the overload check. The last results are kept in the tree, and each run says how it compares to them.
"""

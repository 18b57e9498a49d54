"""Benchmarks (`make bench`): speed against what the vendors' limits allow, calls against the fewest possible, memory.

Each case runs in a process of its own on a database of its own, against a sandbox that enforces the vendors' limits.
"""

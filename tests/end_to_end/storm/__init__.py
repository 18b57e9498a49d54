"""A storm: thousands of creates through real worker processes and real HTTP, while workers are killed, stopped and
frozen and the ledger loses its answers (R-01 to R-06). What really happened is read from the sandbox's truth journal.
"""

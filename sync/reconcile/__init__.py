"""Reconciliation (I-03): both sides are read, compared and explained; what is left over is the unexplained difference.

`store` begins and signs, `work` carries one on page by page, `reading` reads, `compare` and `explain` are pure. The
invariant: over every currency, what the lines say adds up exactly to ledger minus CRM; a read that is not complete
ends in an error and never in numbers.
"""

"""Emulator of the Fortnox REST API and its OAuth server.

Follows the public documentation and recorded traffic; where both are silent the decision is named at the place.
Invariant: nothing leaves here that the documented field tables do not know.
"""

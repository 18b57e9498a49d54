"""Cards: what a person sees and does inside the CRM, next to the record (R76–R103).

Two doors. The host's servers call `views` (signed; answered from our own tables, never from a remote). The browser
opens `page` in a frame: a ticket, good once and for a minute, is exchanged for a bearer that lives in the page's
memory. A host that calls nobody posts its signed request to `page` itself and gets the ticket with it. The invariants:
no cookie is read or set; every row is looked up inside the account that was signed; whatever changes something may be
repeated.
"""

"""The Salesforce half of the sandbox: orgs with their own schema, rules, rights, REST and Bulk interfaces and pages.

``org`` holds one org's schema and rows, ``dml`` is the only way rows change, ``rest``, ``collections`` and
``composite`` are the interfaces over it."""

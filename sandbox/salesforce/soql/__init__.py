"""SOQL: text → tokens → tree → plan (names resolved, filters compiled) → rows.

``parser.parse`` knows the language alone, ``checker.check`` joins it with one org's schema and one user's rights,
``evaluator.run`` finds and sorts the rows. Facts are from Salesforce's SOQL and REST guides.
"""

"""What all emulators share: the world, its clock, faults, request journal and the control interface.

Knows nothing of any vendor. Invariant: everything is derived from one seed and lives in memory only.
"""

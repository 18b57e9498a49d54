"""The mapping lab: drafts tried on real records, golden samples, publishing with its consequences, versions."""

"""The demonstration behind `make demo`: real processes, real OAuth, a real cluster, against the sandbox."""

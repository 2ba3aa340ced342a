"""The demo on the local AWS: users who call an alias, and rollouts to watch. `make demo`, `make
workflow`."""

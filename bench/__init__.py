"""The bench: the deployer and models of its peers, in the same worlds in virtual time. `make bench`
runs it.

cells.py      the worlds: users' traffic, error rates, CloudWatch's delay, the rollout
trial.py      one trial of a cell: users' calls, drawn once and met by every policy alike
policies.py   who moves the alias: the deployer itself, models of the peers, and an oracle
trials.py     all trials, on several processes
figures.py    PURE. shares and means with their intervals
checks.py     what the bench answers in words
tables.py     docs/bench.md, docs/bench.csv
plot.py       docs/bench.svg
"""

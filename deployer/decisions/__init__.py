"""What is decided, from values to values: no I/O, no clock, nothing of AWS. Whoever acts imports
from here.

the request       rollout   the payload becomes a Rollout; its keys, with payload, weights and
checks the steps         steps     how long each lasts, when to look; with looks the judgement
health    evidence becomes a verdict; with evidence and likelihood the alias         ownership whose
it is, as a table; with stamp the end           ending    how it can end, in words; errors is the
tree of what goes wrong
"""

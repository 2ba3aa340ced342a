"""What is decided, from values to values: no I/O, no clock, nothing of AWS. Whoever acts imports from here.

the request       rollout   the payload becomes a Rollout; its keys, with payload, weights and checks
the steps         steps     how long each lasts, when to look; with looks
the judgement     health    evidence becomes a verdict; with evidence and likelihood
the alias         claim     whose it is, and what we may take for ours; with stamp
what goes wrong   errors    the tree
"""

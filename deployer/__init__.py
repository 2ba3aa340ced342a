"""The deployer: what runs in Lambda, and nothing else. What it decides stands in `decisions`.

Start reading in `simple.py`: `roll_out` is the loop. A rollout is six verbs, each with one name:

    CalculateWeights  decisions/rollout.py     the payload becomes weights and times
    UpdateWeight      alias.py  shift          one more weight to the new version
    Wait              simple.py wait           sleep, within the time that Lambda gives
    HealthCheck       run.py    health_check   metrics.py reads, decisions/health.py judges
    Rollback          alias.py  roll_back      the alias back to the original version
    Finalize          alias.py  finalize       the alias on the new version alone

Who may do what:

    decides                           decisions, and nobody here
    reads CloudWatch                  metrics
    reads and writes the alias        alias, and nobody else
    checks before the first write     preflight; plan says what would be done
    knows the time                    clock, and nobody else
    tells                             tell: log, events, metrics
    outlives a dead deployer          lease; the watchdog comes when it runs out
    calls AWS                         aws makes `Means`: the clients, the clock; passed in
    carries the verbs                 run
    drives                            simple in a loop, workflow state by state
"""

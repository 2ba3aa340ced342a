"""The deployer: what runs in Lambda, and nothing else.

Start reading in `simple.py`: `roll_out` is the loop. A rollout is six verbs, each with one name,
and two more that a line in a log brings about:

    CalculateWeights  preflight.py begin        the payload becomes weights and times, all checked
    UpdateWeight      verbs.py update_weight    one more weight to the new version
    Wait              simple.py wait            sleep, within the time that Lambda gives
    HealthCheck       verbs.py health_check     metrics.py reads, decisions/health.py judges
    Rollback          verbs.py roll_back        the alias back to the original version
    Finalize          verbs.py finalize         the alias on the new version alone
    Suspend, Resume   verbs.py suspend, resume  the alias on the original version, until metrics
                                                have judged what the log has

Who may do what:

    decides                           decisions: no I/O, no clock; its own map stands there
    reads CloudWatch                  metrics; logs, for the early_warning
    reads and writes the alias        alias, and nobody else
    before the first shift            preflight; plan says what would be done
    knows the time                    clock, and nobody else
    tells                             tell: log, events, metrics
    outlives a dead deployer          lease; the watchdog comes when it runs out
    calls AWS                         aws makes `Means`: the clients, the clock; passed in
    drives                            simple in a loop, workflow state by state; hook has the
                                      latter rehearse a deployment of CodeDeploy
"""

"""What is decided, from values to values: no I/O, no clock, no call of AWS.

the request     rollout     the payload becomes a Rollout: its keys, its weights, its time
                payload     from a key's value to what it means, or an error with the remedy
                target      function and alias; weights: how the weight rises
                deployment  what a deployment of CodeDeploy asks for
the steps       timeline    how long each lasts, when to look, and which phase it is in
the judgement   health      the checks' verdict together
                checks      one file each; a new one goes there
                evidence    what was seen, minute by minute; likelihood: the tests on it
                failures    failed calls in a log; suspicion: they may suspend, never convict
the alias       ownership   whose it is, as a table; stamp: what a rollout leaves on it
the end         ending      how it can end, in words; errors: the tree of what goes wrong
                sentences   the same for whoever gets a mail: what to do now, too
"""

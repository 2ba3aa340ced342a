"""AWS in virtual time: one, for the tests and for the bench. It imports neither of them.

aws.py         what is there: time, users, operators, and what becomes of an API call
faults.py      what a call may meet instead of its answer, and the end of a sandbox
lambda_.py     the Lambda service, with the alias's own rules
cloudwatch.py  metrics as they are published, late, and alarms
logs.py        what the function writes of its failed calls
messages.py    EventBridge Scheduler, the watchdog's queue, the event bus
world.py       the deployer in it: what it works with, and how a story starts it
turns.py       several deployers at once, in turns

definition.py  what a state machine's definition may say; anything else is refused
execution.py   runs a definition, and writes its history
machine.py     an execution of DeployStateMachine in the world, and the API that tells of it
delivery.py    the watchdog's messages, until they are accepted

sample.py      a model of the original sample
"""

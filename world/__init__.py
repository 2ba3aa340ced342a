"""AWS in virtual time: one, for the tests and for the bench. It imports neither of them.

    world = World(errors={"8": 0.05})                        version 8 fails 5 % of its calls
    world.at(100, lambda: world.update_alias(...))           an operator, whatever the deployer does
    world.invoke(event)                                      the loop, or: Machine(world, event).run()
    assert world.history == [0.1, 0.2, "7"]                  where the alias went

Nothing sleeps: the deployer's `sleep`, and every call, move `world.time` on, in seconds since the
start, and whatever was planned for that time happens.

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
codedeploy.py  CodeDeploy's deployments, their hook, its queue, and the executions that it starts
delivery.py    the watchdog's messages, until they are accepted

sample.py      a model of the original sample
"""

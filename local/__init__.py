"""AWS on one machine: the API by moto, made as strict as AWS, and functions in Lambda's own
runtime.

rules.py          PURE: what AWS's UpdateAlias takes, refuses and answers
strict.py         moto, made to keep those rules, and to read SAM templates
resources.py      what templates may hold and moto does not know: policies, subscriptions, alarms
stepfunctions.py  state machines that really run, with AWS's error names
executions.py     how their executions end, are listed and told of
processes.py      the processes of a session
sandbox.py        one sandbox: Lambda's runtime emulator around a function's code
service.py        the Lambda service: routes a call to a sandbox, and writes its log
metrics.py        CloudWatch: what functions did, published late, and GetMetricData
alarms.py         CloudWatch: metric and composite alarms
destinations.py   what becomes of asynchronous invocations
policies.py       PURE: what a policy says of a request
roles.py          what roles may do, and who asks
delivery.py       carries a message to a queue, topic, function or bus, if its policy allows it
events.py         EventBridge: rules, patterns, schedules
scheduler.py      EventBridge Scheduler: one-time schedules, late as on AWS
queues.py         SQS: event source mappings are polled, failures go back or to the dead-letter queue
redrive.py        SQS: an operator moves what is in a dead-letter queue
faults.py         what goes wrong on purpose: an API out of order, sandboxes to be killed
server.py         starts it all on a free port
cloud.py          starts and ends it all; installs the deployer, and sets up a function to deploy
target/           that function: healthy, failing, slow
demo/             users' traffic, and `make demo`, `make workflow` with it
up.py             `make local`
terminal.py       a command in a terminal, and what stood on its screen
"""

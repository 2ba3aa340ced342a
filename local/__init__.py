"""AWS on one machine: the API by moto, made as strict as AWS, and functions in Lambda's own
runtime.

Started and ended by
server.py         starts it all on a free port
cloud.py          starts and ends a server; installs the deployer, and a function to deploy
__main__.py       `make local`, `make demo`, `make workflow`
up.py             the first of them
demo/             users' traffic, and the others with it
farewell.py       what ends them before their time, in a sentence
target/           the function to deploy: healthy, failing, slow

moto, changed
patches.py        where and how: each patch says what AWS does, and what moto does instead
rules.py          PURE: what AWS's UpdateAlias takes, refuses and answers
aliases.py        Lambda's aliases, which keep those rules
functions.py      Lambda's functions: where they write their logs, and how
logs.py           CloudWatch Logs: lines that can be read late, page by page, by who may
patterns.py       PURE: what a pattern lets through of them
lines.py          PURE: what Lambda itself writes into a log
templates.py      CloudFormation: SAM's templates, conditions, change sets
resources.py      CloudFormation: the kinds of resources that moto does not know
stepfunctions.py  state machines that really run, with AWS's error names
executions.py     how their executions end, are listed and told of
alarms.py         CloudWatch: metric and composite alarms
queues.py         SQS: who may send, what a queue keeps, how a dead-letter queue is emptied

What moves by itself
service.py        Lambda: routes a call to a sandbox, and writes its log
sandbox.py        one sandbox: Lambda's runtime emulator around a function's code
processes.py      the processes of a session
destinations.py   what becomes of failed asynchronous invocations
metrics.py        CloudWatch: what functions did, published late, and GetMetricData
pollers.py        SQS: event source mappings are polled, failures go back to their queue
events.py         EventBridge: rules, patterns, schedules
transformers.py   PURE: what a target gets instead of the event
scheduler.py      EventBridge Scheduler: one-time schedules, late as on AWS
codedeploy.py     CodeDeploy: asks a deployment's hook, then moves the alias
delivery.py       carries a message to a queue or topic, if its policy allows it
policies.py       PURE: what a policy says of a request
roles.py          what roles may do, and who asks
faults.py         what goes wrong on purpose: an API out of order, sandboxes to be killed
"""

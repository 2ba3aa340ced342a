"""AWS on one machine: the API by moto, made as strict as AWS, and functions in Lambda's own runtime.

rules.py          PURE: what AWS's UpdateAlias takes, refuses and answers
strict.py         moto, made to keep those rules, and to read SAM templates
stepfunctions.py  state machines that really run, with AWS's error names
sandbox.py        one sandbox: Lambda's runtime emulator around a function's code
service.py        the Lambda service: routes a call to a sandbox, writes its log and its metrics
server.py         starts it all on a free port
users.py          users' traffic
cloud.py          starts and ends it all; installs the deployer, and sets up a function to deploy
target/           that function: healthy, failing, slow
demo.py           `make demo` and `make workflow`
up.py             `make local`
"""

"""AWS in virtual time, for tests and bench alike.

world.py      the world: users, operators, faults, Lambda, CloudWatch, Scheduler, queue and bus
machine.py    an execution of DeployStateMachine, its history, and the watchdog's messages delivered
turns.py      several deployers at once
sample.py     a model of the original sample
"""

"""What a person or a pipeline runs: `lambda-rollout start …`, `watch`, `plan`, `stop`, `promote`,
`undo` and `history`; in a clone `python -m lambda_rollout …`. Not part of the artifact.

Start reading in `session.py`, which has a method for each verb, and in `watch.py`: `follow` is the
loop. It looks, shows, and ends as the rollout has ended.

    PURE (values in, values out)    endings   how a rollout ended, and the exit status that tells it
                                    request   what was typed becomes a payload, checked as the deployer checks it
                                    lines     what the deployer's log says
                                    state     what is known of a rollout, from stamp, log and metrics
                                    suspension  when it is suspended, and why
                                    pulse     whether its deployer can still be heard
                                    reach     whether AWS answers, and how old what is shown is
                                    words     the same in words
                                    planned   a dry run's plan in words
                                    past      rollouts of before, from the log's lines
                                    history   the same in words
                                    afterwards  what to do now that it has ended
                                    answer    what --json answers
                                    remedies  what AWS refused, in one sentence with a remedy
    reads AWS                       eyes      one alias, its metrics, and what the log says of it
                                    logbook   the deployer's log
                                    archive   the same, backwards
                                    undo      which version was there before
    sends the one Invoke            start
    writes the alias                by_hand   stop and promote; nothing else here ever writes to AWS
    drives                          watch, around it session: what each verb does
                                    command: how that ends; options: what can be typed
    has the last word               __main__  the process: it may not end with Python's own 1
                                    say       on standard error, whatever has become of the output
                                    called    how the next command is typed
    shows                           screen    in a terminal, by rich; plain elsewhere, a line a change
                                    table     a dry run's plan, and the rollouts of before
    in a GitHub Action              github    the Action's inputs, summary, outputs and annotations (action.yml)
"""

__version__ = "2.0.0"

"""What a person runs in a terminal: `python -m lambda_rollout rollout …` and `… watch …`; not part
of the artifact.

Start reading in `watch.py`: `follow` is the loop. It looks, shows, and ends as the rollout has
ended.

    PURE (values in, values out)    endings   how a rollout ended, and the exit status that tells it
                                    request   what was typed becomes a payload, checked as the deployer checks it
                                    lines     what the deployer's log says
                                    state     what is known of a rollout, from stamp, log and metrics
                                    suspension  when it is suspended, and why
                                    pulse     whether its deployer can still be heard
                                    reach     whether AWS answers, and how old what is shown is
                                    words     the same in words
                                    planned   a dry run's plan in words
                                    remedies  what AWS refused, in one sentence with a remedy
    reads AWS                       eyes
    sends the one Invoke            start     nothing else here ever writes to AWS
    drives                          watch, and around it command: what was typed, and how it ends
    has the last word               __main__  the process: it may not end with Python's own 1
                                    say       on standard error, whatever has become of the output
    shows                           screen    in a terminal, by rich; plain elsewhere, a line a change
                                    table     a dry run's plan
    in a GitHub Action              github    the Action's inputs, summary, outputs and annotations (action.yml)
"""

__version__ = "2.0.0"

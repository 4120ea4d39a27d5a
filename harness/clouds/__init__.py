"""Phones of a cloud that takes jobs: submit, poll, cancel, fetch. There is no cable to them.

    cloud         what a cloud is asked, and what every kind of cloud can do
    kinds         the clouds, one row each
    wait          waits for a job, through busy answers and lost connections

A cloud with a host beside the phone, to which phonebench itself goes:

    aws           AWS Device Farm
    package       the archive that is sent: phonebench, the files, the runner apps, and the script that starts it
    take          unpacks what comes back into the results folder, marked with the condition ``CLOUD``

A cloud that only starts an app, which carries its job:

    firebase      Firebase Test Lab
    gcloud        the user's own command, through which it is asked
    catalog       its phones
    order         what was sent, stored with the run
    loop_results  what the launches left
    replay        the phone as a device whose launches have been made already

The one decision: a job is a whole run, and not a launch. With a host, gates, launches and checks are those of any other
run, and what comes back is the run's folder. Without one, all launches are planned here beforehand, and what comes back
is judged by the code that judges any other launch.
"""

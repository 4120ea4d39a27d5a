"""Phones of a cloud that takes jobs: submit, poll, cancel, fetch. There is no cable, so phonebench itself goes there.

    cloud    what a cloud is asked, and what every kind of cloud can do
    package  the archive that is sent: phonebench, the files to measure, the runner apps, and the script that starts it
    aws      AWS Device Farm
    wait     waits for a job, through busy answers and lost connections
    take     unpacks what comes back into the results folder, marked with the condition ``CLOUD``

The one decision: a job is a whole run, and not a launch. phonebench runs on the cloud's own host beside the phone, so
gates, launches and checks are those of any other run. What comes back is one archive with the run's folder.
"""

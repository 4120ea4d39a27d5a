"""The runner of device ``host``: ``python -m harness.host_runner JOB_FOLDER`` measures one artifact and leaves a reply.

It is a program of its own, as lean as the ones on phones: of phonebench it imports the wire records alone, beside
them numpy and the one runtime that the artifact needs.
"""

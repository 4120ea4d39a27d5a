"""The runner of device ``host``: ``python -m harness.runners.host FOLDER`` measures an artifact and leaves a reply.

It is a program of its own, as lean as the ones on phones: of phonebench it imports only the wire records; beside
them it needs numpy and the one runtime of the artifact.
"""

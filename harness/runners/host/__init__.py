"""The runner of device ``host``: ``python -m harness.runners.host FOLDER`` measures an artifact and writes a reply.

It is a separate program and as lean as the runners on phones. From phonebench it imports only the wire records and a
few system functions; apart from those it needs numpy and the runtime of the artifact.
"""

"""The virtual phone: an adbd in Python that real adb servers connect to, with Android's own shell behind it.

It exists so that everything that talks to phones is tested over the real wire, with the real adb, and no phone.
`VirtualPhone` (in ``phone``) is one phone, `AdbServer` (in ``server``) one real adb server; ``conftest`` has fixtures.
What is real and what is not: the adb binaries, the protocol, RSA authorisation, the shell, the toolbox, processes,
signals and full disks are real; packages, activities and system services answer from `PhoneState`; there is no ART,
no SELinux and only one user, root.
"""

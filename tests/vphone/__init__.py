"""The virtual phone: an adbd in Python that real adb servers connect to, with Android's own shell behind it.

With it, all code that talks to phones is tested over the real protocol with the real adb, but without a phone.
`VirtualPhone` (in ``phone``) is one phone, `AdbServer` (in ``server``) one real adb server; ``conftest`` has fixtures.
What is real and what is not: the adb binaries, the protocol, RSA authorisation, the shell, the toolbox, processes,
signals and full disks are real; packages, activities and system services answer from `PhoneState`; there is no ART,
no SELinux and only one user, root.
"""

"""The virtual iPhone: usbmuxd, lockdownd and the services behind it, with codecs of our own.

With it, all code that talks to iPhones is tested over the real protocols, but without an iPhone. `VirtualIPhone` (in
``iphone``) is one phone, `Usbmuxd` (in ``usbmuxd``) the daemon that it is plugged into; ``fixtures`` has fixtures.
What is real and what is not: the protocols, pairing with certificates, TLS, files, full storage, processes and what an
IPA says are real; Apple's signatures, Core ML, heat and the memory killer's decision answer from `IPhoneState`.
"""

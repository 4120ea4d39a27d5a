"""Device kind ``ssh``: Linux boards that the OpenSSH client reaches."""

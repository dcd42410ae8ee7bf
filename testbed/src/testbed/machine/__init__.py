"""A machine of its own: namespaces for processes, mounts and the network.

All that the testbed starts, mounts or configures is inside. When the first process in there dies,
the kernel ends, unmounts and removes the rest, also after a crash; nothing has to remember it.
"""

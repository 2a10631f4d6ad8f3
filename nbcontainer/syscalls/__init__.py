"""The kernel's calls, plainly wrapped and checked: the only room that imports ctypes."""

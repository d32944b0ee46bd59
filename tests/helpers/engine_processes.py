"""Find the processes of engines."""

import psutil


def engines_of(pid):
    """Engine processes below a process."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if child.is_running() and "worker" in " ".join(cmdline(child)).split()]


def cmdline(process):
    """Command line of a process; empty when it is gone."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []

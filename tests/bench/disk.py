"""A file system of its own for what is measured on one."""
import contextlib
import os
import subprocess


@contextlib.contextmanager
def made(folder, size):
    """(a folder on it, what it is). As mke2fs and mount make it, in a file of that many bytes:
    mount options of the machine, such as discard, which makes each deletion wait for the disk, are
    not to count. Where nothing may be mounted it is the folder as it is."""
    image, there = os.path.join(folder, "disk.img"), os.path.join(folder, "disk")
    if os.path.ismount(there):
        raise SystemExit(f"bench: {there} is mounted, by another run: umount {there}")
    with open(image, "wb") as f:
        f.truncate(size)
    os.makedirs(there, exist_ok=True)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, there], check=False).returncode == 0
    try:
        yield (there, "an ext4 of its own") if mounted else (
            folder, "the file system of build/, since none could be mounted")
    finally:
        if mounted:
            subprocess.run(["umount", there], check=True)
        os.rmdir(there)
        os.unlink(image)

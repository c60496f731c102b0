"""A file system of its own for what is measured on one."""
import contextlib
import os
import subprocess


@contextlib.contextmanager
def made(folder, size):
    """(a folder on it, what it is). As mke2fs and mount make it, in a file of that many bytes:
    mount options of the machine, such as discard, which makes each deletion wait for the disk, are
    not to count. Who may not mount gets the folder as it is."""
    if os.geteuid() != 0:
        yield folder, "the file system of build/, since only root may mount one"
        return
    image, there = os.path.join(folder, "disk.img"), os.path.join(folder, "disk")
    if os.path.ismount(there):
        raise SystemExit(f"bench: {there} is mounted, by another run: umount {there}")
    with open(image, "wb") as f:
        f.truncate(size)
    os.makedirs(there, exist_ok=True)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, there], check=True)
    try:
        yield there, "an ext4 of its own"
    finally:
        subprocess.run(["umount", there], check=True)
        os.rmdir(there)
        os.unlink(image)

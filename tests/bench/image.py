"""The image that benchmarks work on: 768 MiB of ext4, filled from this machine's own /usr.

What is in /usr differs from machine to machine, so figures of two machines are no match for each
other; those of one run are.
"""
import os
import shutil
import subprocess

SIZE_MIB = 768
FILLED_MIB = 560
BUILT_AT = 1735689600  # 2025-01-01
UUID = "5a1c0e00-0000-4000-8000-0000000000be"


def fill(tree, source, most):
    """Copies files of source, in the order of their paths, up to `most` bytes in all. Links stay
    links; what may not be read is left out."""
    taken = 0
    for folder, folders, files in os.walk(source):
        folders.sort()
        target = os.path.join(tree, os.path.relpath(folder, "/"))
        os.makedirs(target, exist_ok=True)
        for name in sorted(files):
            path = os.path.join(folder, name)
            size = os.lstat(path).st_size
            if taken + size > most:
                continue
            if os.path.islink(path) or (os.path.isfile(path) and os.access(path, os.R_OK)):
                shutil.copy2(path, os.path.join(target, name), follow_symlinks=False)
                taken += size
    return taken


def make(folder):
    """Returns the image's path, having made it where it is not there yet."""
    image = os.path.join(folder, f"usr-{SIZE_MIB}.ext4")
    if os.path.exists(image):
        return image
    tree, part = os.path.join(folder, "tree"), image + ".part"
    shutil.rmtree(tree, ignore_errors=True)
    taken = fill(tree, "/usr", FILLED_MIB << 20)
    if taken < FILLED_MIB << 19:
        raise SystemExit(f"bench: /usr has only {taken >> 20} MiB to fill an image with")
    with open(part, "wb") as f:
        f.truncate(SIZE_MIB << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "^has_journal",
                    "-U", UUID, "-E", f"hash_seed={UUID},lazy_itable_init=0,nodiscard",
                    "-d", tree, part],
                   env=dict(os.environ, E2FSPROGS_FAKE_TIME=str(BUILT_AT)), check=True)
    shutil.rmtree(tree)
    os.rename(part, image)
    return image

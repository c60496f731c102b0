"""Real root file systems, made of Debian's packages as an ordinary user.

Packages are downloaded by apt and unpacked by dpkg-deb; mke2fs -d makes the file system, with what
would be random or of the moment (UUID, hash seed, times) fixed. All is kept in a folder, so it is
made once. The second version is the first and one package more.
"""
import glob
import os
import shutil
import subprocess

SIZE_MIB = 72
UUID = "5a1c0e00-0000-4000-8000-000000000001"
BUILT_AT = 1735689600  # 2025-01-01, the times of the file system itself
READ_AT = 2840140800   # 2060-01-01: an access time that no reading moves forward

# What a small system with an init, a shell and a network is made of.
PACKAGES = """base-files base-passwd bash busybox coreutils dash debianutils diffutils dpkg
findutils grep gzip hostname init-system-helpers iproute2 libacl1 libattr1 libaudit1 libblkid1
libbz2-1.0 libc-bin libc6 libcap2 libcrypt1 libgcc-s1 libgcrypt20 libgmp10 libgpg-error0 liblz4-1
liblzma5 libmount1 libncursesw6 libpam-modules libpam-runtime libpam0g libpcre2-8-0 libselinux1
libsmartcols1 libssl3 libsystemd0 libtinfo6 libudev1 libuuid1 libzstd1 login mawk mount
ncurses-base passwd sed sysvinit-core sysvinit-utils tar util-linux zlib1g""".split()
ADDED = "openssh-client"
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info",
            "usr/share/lintian", "usr/share/i18n", "usr/lib/udev/hwdb.d")


class RootfsFailed(Exception):
    """No root file system could be made; the text says why."""


def command(argv, **kwargs):
    kwargs.setdefault("timeout", 300)
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False,
                          **kwargs)
    if done.returncode != 0:
        raise RootfsFailed(f"{' '.join(argv[:6])} ...: exit {done.returncode}\n"
                           f"{done.stderr[-2000:]}")
    return done.stdout


def download(folder):
    """Brings the packages into folder. Lists of packages that are missing or too old on this
    machine are fetched into a place of our own: that needs no root either."""
    own = os.path.join(folder, "apt")
    options = []
    for _ in range(2):
        argv = ["apt-get", *options, "-q", "download", *PACKAGES, ADDED]
        try:
            command(argv, cwd=folder)
            return
        except RootfsFailed:
            if options:
                raise
        os.makedirs(os.path.join(own, "lists", "partial"), exist_ok=True)
        options = ["-o", f"Dir::State::Lists={own}/lists", "-o", f"Dir::Cache={own}",
                   "-o", "Debug::NoLocking=1"]
        command(["apt-get", *options, "-q", "update"])


def merge_usr(tree):
    """/bin, /sbin and /lib are links into /usr, as on every Debian; packages do not say so yet."""
    for name in ("bin", "sbin", "lib", "lib64"):
        old, new = os.path.join(tree, name), os.path.join(tree, "usr", name)
        os.makedirs(new, exist_ok=True)
        if os.path.isdir(old) and not os.path.islink(old):
            shutil.copytree(old, new, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(old)
        if not os.path.islink(old):
            os.symlink(os.path.join("usr", name), old)


def unpack(packages, tree):
    for package in packages:
        command(["dpkg-deb", "-x", package, tree])
    for name in LEFT_OUT:
        shutil.rmtree(os.path.join(tree, name), ignore_errors=True)
    merge_usr(tree)


def settle_times(tree):
    """Access times that reading does not change, so that making an image does not change the
    next."""
    for folder, dirs, files in os.walk(tree):
        for name in dirs + files:
            path = os.path.join(folder, name)
            os.utime(path, (READ_AT, int(os.lstat(path).st_mtime)), follow_symlinks=False)
    os.utime(tree, (READ_AT, BUILT_AT))


def write_release(tree, version):
    """What the running system calls itself: health checks and people look at it."""
    with open(os.path.join(tree, "etc", "sluice-release"), "w", encoding="ascii") as f:
        f.write(f"VERSION={version}\n")


def make_ext4(tree, image, size_mib=SIZE_MIB):
    temp = image + ".part"
    with open(temp, "wb") as f:
        f.truncate(size_mib << 20)
    command(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "^has_journal", "-U", UUID,
             "-E", f"hash_seed={UUID},root_owner=0:0,lazy_itable_init=0,nodiscard", "-d", tree,
             temp], env=dict(os.environ, E2FSPROGS_FAKE_TIME=str(BUILT_AT)))
    os.rename(temp, image)


def make(folder):
    """Returns the paths of version 1 and version 2, making them where they are not there yet."""
    images = [os.path.join(folder, f"rootfs-{n}.ext4") for n in (1, 2)]
    if all(map(os.path.exists, images)):
        return images
    work = os.path.join(folder, "work")
    tree = os.path.join(work, "tree")
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(tree)
    os.chmod(tree, 0o755)
    download(work)
    packages = sorted(glob.glob(os.path.join(work, "*.deb")))
    added = [p for p in packages if os.path.basename(p).startswith(ADDED + "_")]
    if len(packages) != len(PACKAGES) + 1 or len(added) != 1:
        raise RootfsFailed(f"{len(packages)} packages came, {len(PACKAGES) + 1} were asked for")
    for image, what in zip(images, ([p for p in packages if p not in added], added)):
        unpack(what, tree)
        write_release(tree, images.index(image) + 1)
        settle_times(tree)
        make_ext4(tree, image)
    shutil.rmtree(work)
    return images

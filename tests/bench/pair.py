"""Pairs of real images, old and new, made of Debian's packages: what updates look like in earnest.

system   the release alone, and the same packages with its updates and security fixes; the kernel
         and its modules are among them
program  the old system with one program built twice from its sources, with a fix between
upgrade  the old system, and what the next release has under the same names

Packages are unpacked by dpkg-deb, with dpkg's own records of them; no script of theirs runs, so
there is no initramfs and nothing that a first start would make. The same packages give the same
bytes. All is kept under build/bench/cache, or where BENCH_CACHE says, and made once: about 4 GB.
"""
import collections
import os
import re
import shutil
import subprocess

from debian import Suites, codename
from fleet import rootfs
from fleet.rootfs import RootfsFailed, command

SIZE_MIB = 768
BLOCK = 4096

# A gateway of the larger sort: what any Debian has, and what talks to machines and networks.
PACKAGES = """adduser apt apt-utils avahi-daemon base-files base-passwd bash bash-completion
bind9-dnsutils bind9-host bluez bsdutils bzip2 ca-certificates chrony coreutils cpio cron curl dash
dbus debconf debian-archive-keyring debianutils diffutils dmidecode dnsmasq dpkg e2fsprogs fdisk
file findutils frr gettext-base git gpgv grep groff-base gzip hostapd hostname htop ifupdown init
init-system-helpers iproute2 iptables iputils-ping isc-dhcp-client jq kmod krb5-locales less
libc-bin libc-l10n libnss-systemd libpam-modules libpam-runtime libpam-systemd
linux-image-cloud-amd64 locales login logrotate lsof man-db mawk media-types modemmanager mosquitto
mount nano ncurses-base ncurses-bin ncurses-term netbase network-manager nftables nginx-light
openssh-client openssh-server openvpn passwd pciutils perl perl-base procps python3
python3-cryptography python3-reportbug redis-server rsync rsyslog sed sensible-utils smartmontools
snmpd socat sqlite3 strace sudo systemd systemd-sysv sysvinit-utils tar tcpdump traceroute tzdata
ucf udev unzip util-linux util-linux-extra vim-tiny wamerican wget whiptail wireguard-tools
wpasupplicant xz-utils zip""".split()
# The program that is built twice: CPython with its modules linked in.
PROGRAM = "python3.11"
INSTALLED_AS = "opt/app/bin/app"
FIXED = ("Objects/listobject.c", "list_resize(PyListObject *self, Py_ssize_t newsize)\n{\n", """\
    if (newsize < 0 || newsize > PY_SSIZE_T_MAX / (Py_ssize_t)sizeof(PyObject *)) {
        PyErr_Format(PyExc_OverflowError, "a list cannot have %zd items", newsize);
        return -1;
    }
""")
NEXT = {"bookworm": "trixie", "trixie": "forky"}

Pair = collections.namedtuple("Pair", "old new about")


def cache(folder):
    """Where pairs are kept, for benchmarks that work in `folder`."""
    path = os.path.realpath(os.environ.get("BENCH_CACHE") or os.path.join(folder, "cache"))
    os.makedirs(path, exist_ok=True)
    return path


def suites_of(which):
    own = codename()
    if which == "next" and own not in NEXT:
        raise RootfsFailed(f"pair.py knows of no release after {own}")
    return {"old": [own], "new": [own, f"{own}-updates", f"{own}-security"],
            "next": [NEXT.get(own)]}[which]


# Trees.

def record(deb, listing, folder):
    """Keeps dpkg's records of one package; returns its paragraph of the status file."""
    info, taken = os.path.join(folder, "info"), os.path.join(folder, "taken")
    command(["dpkg-deb", "-e", deb, taken])
    with open(os.path.join(taken, "control"), encoding="utf-8") as f:
        control = f.read().strip()
    name = re.search(r"^Package: (.*)$", control, re.M)[1]
    if re.search(r"^Multi-Arch: same$", control, re.M):
        name += ":" + re.search(r"^Architecture: (.*)$", control, re.M)[1]
    for part in sorted(os.listdir(taken)):
        if part != "control":
            shutil.copyfile(os.path.join(taken, part), os.path.join(info, f"{name}.{part}"))
    shutil.rmtree(taken)
    paths = [path.removeprefix(".").rstrip("/") or "/." for path in listing.splitlines()]
    with open(os.path.join(info, f"{name}.list"), "w", encoding="utf-8") as f:
        f.writelines(path + "\n" for path in paths)
    first, rest = control.split("\n", 1)
    return f"{first}\nStatus: install ok installed\n{rest}\n\n"


def settle(tree):
    """Times that do not tell when this ran."""
    rootfs.settle_times(tree)
    for folder, _, _ in os.walk(tree):
        os.utime(folder, (rootfs.READ_AT, rootfs.BUILT_AT))


def unpack(debs, tree):
    admin = os.path.join(tree, "var", "lib", "dpkg")
    os.makedirs(os.path.join(admin, "info"))
    status = [record(deb, command(["dpkg-deb", "-X", deb, tree]), admin) for deb in debs]
    rootfs.unpack([], tree)
    with open(os.path.join(admin, "status"), "w", encoding="utf-8") as f:
        f.writelines(status)
    for name in os.listdir(os.path.join(admin, "info")):
        os.chmod(os.path.join(admin, "info", name), 0o644)


def make_tree(where, which):
    """Returns (its folder, {package: version})."""
    tree, listed = os.path.join(where, "trees", which), os.path.join(where, f"{which}.packages")
    if not os.path.exists(tree):
        suites = Suites(where, *suites_of(which)).update()
        versions = suites.resolve(PACKAGES)
        part = tree + ".part"
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(part)
        os.chmod(part, 0o755)
        unpack(suites.download(versions), part)
        settle(part)
        with open(listed, "w", encoding="ascii") as f:
            f.writelines(f"{name} {version}\n" for name, version in versions.items())
        os.rename(part, tree)
    with open(listed, encoding="ascii") as f:
        return tree, dict(line.split() for line in f)


def make_image(where, which):
    """Returns (its path, {package: version})."""
    image = os.path.join(where, f"{which}.ext4")
    tree, versions = make_tree(where, which)
    if not os.path.exists(image):
        rootfs.make_ext4(tree, image, SIZE_MIB)
    return image, versions


# What differs.

def blocks_of(path):
    with open(path, "rb") as f:
        while block := f.read(BLOCK):
            yield block


def compare(old, new):
    """In words: how much there is of the new image, and how much of that the old one has."""
    hashed = [hash(block) for block in blocks_of(old)]
    known, zero = set(hashed), hash(bytes(BLOCK))
    there = elsewhere = fresh = 0
    for number, value in enumerate(map(hash, blocks_of(new))):
        if value == zero:
            continue
        if number < len(hashed) and hashed[number] == value:
            there += 1
        elif value in known:
            elsewhere += 1
        else:
            fresh += 1
    mib = [f"{n * BLOCK / 2**20:.1f}" for n in (there + elsewhere + fresh, there, elsewhere, fresh)]
    return (f"{os.path.getsize(new) >> 20} MiB, {mib[0]} of them not zero: {mib[1]} where they were"
            f", {mib[2]} elsewhere, {mib[3]} new, by blocks of 4 KiB")


def describe_packages(old, new):
    changed = [name for name in new if name in old and old[name] != new[name]]
    kernels = [next((name.removeprefix("linux-image-") for name in versions
                     if re.fullmatch(r"linux-image-\d.*", name)), "none")
               for versions in (old, new)]
    return (f"{len(new)} packages, {len(changed)} in another version than before, "
            f"{len(set(new) - set(old))} under another name; kernel {kernels[0]}, then "
            f"{kernels[1]}")


def describe(where, name, make):
    """What `make` says, kept beside the images."""
    path = os.path.join(where, name + ".about")
    if not os.path.exists(path):
        with open(path + ".part", "w", encoding="utf-8") as f:
            f.write(make())
        os.rename(path + ".part", path)
    with open(path, encoding="utf-8") as f:
        return f.read()


# The program.

def compile_program(source, out):
    """Deterministic: the date that it is built on is told by SOURCE_DATE_EPOCH."""
    env = dict(os.environ, SOURCE_DATE_EPOCH=str(rootfs.BUILT_AT), LC_ALL="C")
    jobs = f"-j{len(os.sched_getaffinity(0))}"
    for _ in range(2):  # its Makefile may be made anew by the first
        subprocess.run(["make", "-s", jobs, "python"], cwd=source, env=env, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    command(["strip", "-o", out, os.path.join(source, "python")])


def configure(where):
    """Returns a folder of sources that `make` is to be run in."""
    source = os.path.join(where, "source")
    shutil.rmtree(source, ignore_errors=True)
    os.makedirs(source)
    packed = Suites(where, *suites_of("old")).update().source(PROGRAM)
    command(["tar", "-xf", packed, "--strip-components=1", "-C", source])
    command(["./configure", "-q", "--disable-test-modules", "OPT=-O2"], cwd=source,
            env=dict(os.environ, MODULE_BUILDTYPE="static"), timeout=1800)
    modules = os.path.join(source, "Modules", "Setup.")
    shutil.copyfile(modules + "stdlib", modules + "local")
    return source


def fix(source):
    name, before, added = FIXED
    path = os.path.join(source, name)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if text.count(before) != 1:
        raise RootfsFailed(f"{path} is not the source that the fix was made for")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(before, before + added))


def programs(where):
    """Returns both, made where they are not there yet."""
    paths = [os.path.join(where, f"program-{n}") for n in (1, 2)]
    if not os.path.exists(paths[1]):
        source = configure(where)
        compile_program(source, paths[0])
        fix(source)
        compile_program(source, paths[1] + ".part")
        os.rename(paths[1] + ".part", paths[1])
        shutil.rmtree(source)
    return paths


def with_program(tree, program, image):
    """An image of the tree with that program in it; the tree is as it was afterwards."""
    added = os.path.join(tree, INSTALLED_AS)
    os.makedirs(os.path.dirname(added), exist_ok=True)
    try:
        shutil.copy(program, added)
        settle(tree)
        rootfs.make_ext4(tree, image, SIZE_MIB)
    finally:
        shutil.rmtree(os.path.join(tree, "opt", "app"))


def program(folder):
    where = cache(folder)
    tree, _ = make_tree(where, "old")
    images = [os.path.join(where, f"program-{n}.ext4") for n in (1, 2)]
    built = programs(where)
    for image, path in zip(images, built):
        if not os.path.exists(image):
            with_program(tree, path, image)
    return Pair(*images, describe(where, "program", lambda: (
        f"{PROGRAM}, {os.path.getsize(built[1]) / 1e6:.1f} MB, built twice; " + compare(*images))))


# Pairs.

def packaged(folder, name, which):
    where = cache(folder)
    (old, had), (new, has) = make_image(where, "old"), make_image(where, which)
    return Pair(old, new, describe(where, name, lambda: describe_packages(had, has) + "; " +
                                   compare(old, new)))


def system(folder):
    return packaged(folder, "system", "new")


def upgrade(folder):
    return packaged(folder, "upgrade", "next")

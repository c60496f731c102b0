"""Debian's packages by the suites that have them: what a set of them needs, and their files.

Apt does it with lists and a state of its own, from the mirrors that this machine uses, as an
ordinary user; nothing is installed. Files stay in one folder, so none is fetched twice.
"""
import glob
import os
import re

from fleet.rootfs import RootfsFailed, command


def codename():
    """What the release is called that this machine runs, "bookworm"."""
    with open("/etc/os-release", encoding="utf-8") as f:
        found = re.search(r"^VERSION_CODENAME=(\w+)$", f.read(), re.M)
    if not found:
        raise RootfsFailed("/etc/os-release names no release: real images are made on Debian")
    return found[1]


def mirrors():
    """{suite: where this machine has it from}."""
    said = command(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)",
                    "Created-By: Packages", "Component: main"])
    return dict(line.split() for line in said.splitlines())


class Suites:
    """What some suites have together, as a machine without a single package sees it."""

    def __init__(self, folder, *suites):
        self.debs = os.path.join(folder, "debs")
        self.folder = os.path.join(folder, "lists", "+".join(suites))
        known, own = mirrors(), codename()
        lines = []
        for suite in suites:
            # What is not this machine's release comes from where that does.
            where = known.get(suite) or known.get(own)
            if not where:
                raise RootfsFailed(f"apt has no mirror of {suite} here: see sources.list(5)")
            lines += [f"deb {where} {suite} main\n", f"deb-src {where} {suite} main\n"]
        for made in (self.debs, self.path("state", "lists", "partial"), self.path("cache")):
            os.makedirs(made, exist_ok=True)
        with open(self.path("sources.list"), "w", encoding="ascii") as f:
            f.writelines(lines)
        with open(self.path("status"), "w", encoding="ascii"):
            pass

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def apt(self, *args, own_system=False):
        """own_system: the packages of this machine count as installed."""
        options = {"Dir::State": self.path("state"), "Dir::Cache": self.path("cache"),
                   "Dir::State::status": "/var/lib/dpkg/status" if own_system else
                   self.path("status"), "Dir::Etc::SourceList": self.path("sources.list"),
                   "Dir::Etc::SourceParts": "/dev/null", "Dir::Etc::Preferences": "/dev/null",
                   "Dir::Etc::PreferencesParts": "/dev/null", "Debug::NoLocking": "1",
                   "APT::Install-Recommends": "0", "APT::Sandbox::User": "root"}
        argv = ["apt-get", "-q"]
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        return command([*argv, *args], cwd=self.debs)

    def update(self):
        self.apt("update")
        return self

    def resolve(self, names, **kwargs):
        """{package: version} of these and all that they depend on, in the order of names."""
        said = self.apt("-s", "install", *names, **kwargs)
        return dict(sorted(re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", said, re.M)))

    def download(self, versions):
        """Returns the files of these packages, in their order."""
        self.apt("download", *(f"{name}={version}" for name, version in versions.items()))
        return [self.file(f"{name}_{version.replace(':', '%3a')}_*.deb")
                for name, version in versions.items()]

    def source(self, package):
        """Returns the file of its upstream sources."""
        self.apt("--download-only", "--tar-only", "source", package)
        return self.file(f"{package}_*.orig.tar.?z*")

    def file(self, pattern):
        found = glob.glob(os.path.join(self.debs, pattern))
        if len(found) != 1:
            raise RootfsFailed(f"{len(found)} files {pattern} lie in {self.debs}, not one")
        return found[0]

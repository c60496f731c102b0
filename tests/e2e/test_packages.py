"""The Debian packages: built, installed by dpkg into a root of their own, run from there, purged.

Where lintian is, and in CI in any case, it looks at them; `make deb` has it, too.
"""
import glob
import os
import re
import shutil
import tempfile
import unittest

from fleet import Programs, run
from fleet.process import ROOT

BUILD = os.path.join(ROOT, "common", "debian", "build")
# Programs for a sanitizer or for coverage are not what it expects of a package.
HAS_LINTIAN = os.path.basename(Programs().build).startswith("release") and \
    bool(os.environ.get("CI") or shutil.which("lintian"))
# What dpkg and the system's tools for users write for themselves.
NOT_OURS = ("var/lib/dpkg", "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/.pwd.lock")


def tree(root):
    """Every path in a root, but what is not ours."""
    found = set()
    for folder, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.relpath(os.path.join(folder, name), root)
            if not path.startswith(NOT_OURS):
                found.add(path)
    return found


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sluice-packages-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.out = os.path.join(cls.folder, "out")
        run([BUILD, Programs().build, cls.out], timeout=600)
        cls.host, = glob.glob(os.path.join(cls.out, "sluice_*.deb"))
        cls.agent, = glob.glob(os.path.join(cls.out, "sluice-agent_*.deb"))

    def setUp(self):
        """A root in which there is nothing but what the packages depend on, by this machine's
        word, and systemd's folders."""
        self.root = tempfile.mkdtemp(dir=self.folder)
        for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/systemd",
                       "etc/systemd/system", "srv"):
            os.makedirs(self.path(folder))
        needed = {re.match(r"[^ (|]+", each)[0] for package in (self.host, self.agent)
                  for each in self.field(package, "Depends").split(", ")}
        with open(self.path("var/lib/dpkg/status"), "w", encoding="utf-8") as f:
            f.write(run(["dpkg-query", "-s", *sorted(needed)]).stdout)

    def path(self, name):
        return os.path.join(self.root, name)

    @staticmethod
    def field(package, name):
        return run(["dpkg-deb", "-f", package, name]).stdout.strip()

    def dpkg(self, *words):
        """Scripts are told of the root by DPKG_ROOT, and run outside it."""
        return run(["dpkg", f"--root={self.root}", "--force-script-chrootless", "--no-triggers",
                    *words])

    def test_they_install_run_and_go(self):
        before = tree(self.root)
        self.dpkg("-i", self.host, self.agent)
        sluice, agent = self.path("usr/bin/sluice"), self.path("usr/sbin/sluice-agent")
        version = self.field(self.host, "Version")
        self.assertEqual(run([sluice, "--version"]).stdout, f"sluice {version}\n")
        self.assertIn("run ", run([agent, "--help"]).stdout)
        workspace = self.path("srv/sluice/fleet")
        run([sluice, "init", workspace])
        self.assertTrue(os.path.isfile(os.path.join(workspace, "workspace.yaml")))
        for name in ("agent.conf", "box.key", "health.d/10-ours"):
            with open(self.path(f"etc/sluice/{name}"), "w", encoding="ascii"):
                pass
        os.makedirs(self.path("var/lib/sluice/metadata"), exist_ok=True)
        self.dpkg("-P", "sluice", "sluice-agent")
        left = {path for path in tree(self.root) - before if not path.startswith("srv/sluice")}
        self.assertEqual(left, {"etc/sluice", "etc/sluice/health.d", "etc/sluice/health.d/10-ours"})
        self.assertTrue(os.path.isfile(os.path.join(workspace, "workspace.yaml")))

    def test_what_systemd_reads_is_where_it_looks(self):
        self.dpkg("-i", self.host, self.agent)
        wanted = "etc/systemd/system/multi-user.target.wants"
        self.assertEqual(os.listdir(self.path(wanted)), ["sluice-agent.service"])
        for unit, program in (("sluice-agent", "usr/sbin/sluice-agent"),
                              ("sluice-watch", "usr/bin/sluice"),
                              ("sluice-trial", "usr/libexec/sluice-trial")):
            with open(self.path(f"usr/lib/systemd/system/{unit}.service"), encoding="utf-8") as f:
                started = re.findall(r"^ExecStart=/(\S+)", f.read(), re.M)
            self.assertEqual(started, [program])
            self.assertTrue(os.access(self.path(program), os.X_OK))
        self.assertTrue(os.path.isfile(
            self.path("usr/lib/systemd/system/sysinit.target.wants/sluice-trial.service")))
        for folder in ("etc/sluice/health.d", "etc/sluice/hooks/pre.d", "srv/sluice"):
            self.assertTrue(os.path.isdir(self.path(folder)), folder)
        with open(self.path("etc/passwd"), encoding="utf-8") as f:
            users = [line.split(":")[0] for line in f]
        self.assertIn("sluice", users)
        self.assertIn("sluice-net", users)
        self.assertTrue(os.access(self.path("usr/libexec/sluice/sluice-net"), os.X_OK))
        self.dpkg("-P", "sluice", "sluice-agent")
        self.assertFalse(os.path.lexists(self.path(wanted)))

    if HAS_LINTIAN:
        def test_lintian_has_nothing_to_say(self):
            done = run(["lintian", "--allow-root", "--fail-on", "error,warning", self.host,
                        self.agent], check=None, timeout=600)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_box_needs_no_archive_library(self):
        """It reads bundles by itself; libarchive would bring libxml2 and ICU."""
        self.assertNotIn("libarchive", self.field(self.agent, "Depends"))
        self.assertIn("libcurl", self.field(self.agent, "Depends"))

    def test_readme_names_the_packages(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
            named = re.findall(r"\./build/deb/(\S+\.deb)", f.read())
        self.assertGreater(len(named), 1)
        for name in named:
            self.assertEqual(len(glob.glob(os.path.join(self.out, name))), 1, name)

    def test_every_page_is_in_one_of_them(self):
        listed = [path for package in (self.host, self.agent)
                  for path in re.findall(r"usr/share/man/man\d/(\S+)\.gz",
                                         run(["dpkg-deb", "-c", package]).stdout)]
        pages = [os.path.basename(page) for page in glob.glob(os.path.join(ROOT, "*/man/*"))]
        self.assertGreater(len(pages), 8)
        self.assertEqual(sorted(listed), sorted(pages))

    def test_scripts_leave_this_machine_alone(self):
        """Each path that they change is below DPKG_ROOT."""
        for path in glob.glob(os.path.join(ROOT, "common/debian/*.p*")):
            with open(path, encoding="ascii") as f:
                for line in f:
                    self.assertNotRegex(line, r'^\s*(rm|rmdir|cd)\b[^>]* "?/', path)

    def test_the_same_source_makes_the_same_packages(self):
        again = os.path.join(self.folder, "again")
        with open(self.host, "rb") as f:
            made_at_s = f.read(60)[24:36].decode().strip()  # of the first member of an ar(5)
        run([BUILD, Programs().build, again], timeout=600,
            env=dict(os.environ, SOURCE_DATE_EPOCH=made_at_s))
        for package in (self.host, self.agent):
            with open(package, "rb") as one, \
                    open(os.path.join(again, os.path.basename(package)), "rb") as other:
                self.assertEqual(one.read(), other.read(), package)


if __name__ == "__main__":
    unittest.main()

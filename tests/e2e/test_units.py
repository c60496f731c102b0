"""The units of agent/systemd/: what systemd makes of them, and whether programs live with them."""
import fnmatch
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import unittest

from fleet.case import NEW, FleetCase, FolderCase
from fleet.manager import Manager
from fleet import Box, Nginx, free_port, make_image, wait_until
from fleet.process import ROOT, Programs, run
from fleet.units import calls_allowed, settings
from fleet.workspace import Workspace

PROGRAMS = ("sluice-agent", "sluice-watch")
NET = "sluice-net@"
UNITS = (*PROGRAMS, "sluice-trial", NET)
DROP_INS = ("trees", "clock")
EXAMPLES = "share/doc/sluice-agent/examples/systemd/drop-in"
EXPOSURE_MAX = 20  # tenths: 2.0


def install(folder):
    """`make install` of the programs under test."""
    build = Programs().build
    variant, _, compiler = os.path.basename(build).partition("-")
    environ = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    run(["make", "-s", "-C", ROOT, "install", f"PREFIX={folder}", f"VARIANT={variant}",
         *([f"CC={compiler}"] if compiler else [])], env=environ, timeout=600)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class Units(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.prefix = tempfile.mkdtemp(prefix="sluice-units-")
        cls.addClassCleanup(shutil.rmtree, cls.prefix, ignore_errors=True)
        install(cls.prefix)
        cls.paths = {u: f"{cls.prefix}/lib/systemd/system/{u}.service" for u in UNITS}

    def analyse(self, *args):
        return run(["systemd-analyze", "--no-pager", *args], check=None)

    def command(self, unit):
        return shlex.split(dict(settings(read(self.paths[unit]), "Service"))["ExecStart"])

    def assert_no_complaint(self, path):
        """What is wrong with this machine's own units is not looked at."""
        done = self.analyse("verify", "--man=no", "--recursive-errors=no", path)
        ours = [line for line in (done.stdout + done.stderr).splitlines()
                if os.path.basename(path) in line]
        self.assertEqual((done.returncode, ours), (0, []))

    def test_systemd_has_no_complaint(self):
        for path in self.paths.values():
            self.assert_no_complaint(path)

    def test_systemd_has_no_complaint_about_drop_ins(self):
        for name in DROP_INS:
            part = f"{self.prefix}/{EXAMPLES}/{name}.conf"
            told = re.findall(r"/etc/systemd/system/(\S+)\.d/(\S+\.conf)", read(part))
            self.assertEqual(told, [("sluice-agent.service", f"{name}.conf")])
            whole = f"{self.prefix}/with-{name}.service"
            with open(whole, "w", encoding="utf-8") as f:
                f.write(read(self.paths["sluice-agent"]) + read(part))
            self.assert_no_complaint(whole)

    def test_the_sandbox_is_tight(self):
        for path in self.paths.values():
            done = self.analyse("security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", path)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("Overall exposure level", done.stdout)

    def test_devices_that_agent_conf_may_name_are_open_to_the_agent(self):
        """By the names that the kernel gives drivers in /proc/devices, or by their own."""
        allowed = [value.split()[0] for key, value in settings(
            read(self.paths["sluice-agent"]), "Service") if key == "DeviceAllow"]
        for device in ("block-blkext", "block-mmc", "block-sd", "block-device-mapper", "char-mtd",
                       "char-ubi0", "char-watchdog", "/dev/watchdog"):
            self.assertTrue(any(fnmatch.fnmatchcase(device, pattern) for pattern in allowed),
                            device)
        for device in ("char-mem", "char-tty", "/dev/kmsg"):
            self.assertFalse(any(fnmatch.fnmatchcase(device, pattern) for pattern in allowed))

    def test_programs_take_the_words_of_their_units(self):
        for unit in PROGRAMS:
            argv = self.command(unit)
            self.assertTrue(argv[0].startswith(self.prefix), argv)
            self.assertIn("usage: ", run([*argv, "--help"]).stdout)

    def test_the_guard_of_trials_waits_for_nothing_and_needs_nobody_to_enable_it(self):
        """Where a mount fails, or the agent's unit is masked, it is needed most."""
        program, = self.command("sluice-trial")
        self.assertTrue(program.startswith(self.prefix) and os.access(program, os.X_OK), program)
        link = f"{self.prefix}/lib/systemd/system/sysinit.target.wants/sluice-trial.service"
        self.assertTrue(os.path.samefile(link, self.paths["sluice-trial"]))
        unit = settings(read(self.paths["sluice-trial"]), "Unit")
        self.assertIn(("DefaultDependencies", "no"), unit)
        self.assertFalse({"After", "Requires", "BindsTo", "PartOf", "Requisite",
                          "RequiresMountsFor"} & {key for key, _ in unit})
        # The last makes a folder in /tmp up to systemd 254, and there may be none to write to.
        self.assertFalse({"PrivateTmp", "StateDirectory", "WorkingDirectory", "RootDirectory",
                          "PrivateDevices"} &
                         {key for key, _ in settings(read(self.paths["sluice-trial"]), "Service")})

    def test_the_guard_of_trials_may_do_what_it_does(self):
        """Read what tells it, call the kernel's reboot(2), and write to /proc/sysrq-trigger."""
        service = settings(read(self.paths["sluice-trial"]), "Service")
        self.assertIn("reboot", calls_allowed(read(self.paths["sluice-trial"])))
        self.assertIn("CAP_SYS_BOOT", dict(service)["CapabilityBoundingSet"].split())
        self.assertIn("AF_UNIX", dict(service)["RestrictAddressFamilies"])
        self.assertNotIn("ProcSubset", dict(service))  # /proc/cmdline, /proc/uptime
        self.assertNotIn("ProtectKernelTunables", dict(service))
        self.assertNotIn("ReadOnlyPaths", dict(service))
        self.assertNotIn("InaccessiblePaths", dict(service))
        agent = dict(settings(read(self.paths["sluice-agent"]), "Service"))
        # The agent's note, which its end does not take away.
        self.assertEqual((agent["RuntimeDirectory"], agent["RuntimeDirectoryPreserve"]),
                         ("sluice", "yes"))

    def test_the_network_process_is_started_for_the_agent_alone(self):
        """By a socket that only root may use, in the folder that the agent is told of."""
        agent = read(self.paths["sluice-agent"])
        units = os.path.dirname(self.paths["sluice-agent"])
        sock = dict(settings(read(f"{units}/sluice-net.socket"), "Socket"))
        runtime = dict(settings(agent, "Service"))["RuntimeDirectory"]
        self.assertEqual((sock["ListenSequentialPacket"], sock["SocketMode"], sock["Accept"]),
                         (f"/run/{runtime}/net.sock", "0600", "yes"))
        self.assertIn(("Wants", "sluice-net.socket"), settings(agent, "Unit"))
        self.assertIn("sluice-net.socket", dict(settings(agent, "Unit"))["After"].split())
        self.assert_no_complaint(f"{units}/sluice-net.socket")
        net = dict(settings(read(self.paths[NET]), "Service"))
        self.assertEqual(net["CapabilityBoundingSet"], "")
        users = re.findall(r"^u (\S+)", read(f"{self.prefix}/lib/sysusers.d/sluice-agent.conf"),
                           re.M)
        self.assertEqual([net["User"]], users)
        self.assertTrue(os.access(net["ExecStart"], os.X_OK), net["ExecStart"])

    def test_the_agent_uses_the_network_process_of_the_service_manager(self):
        """systemd-socket-activate plays it: a connection, a process with it as descriptor 3."""
        runtime = os.path.join(self.prefix, "run")
        os.makedirs(runtime, exist_ok=True)
        path, program, starts = (os.path.join(runtime, n) for n in ("net.sock", "net", "starts"))
        with open(program, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\necho $$ >> {starts}\nexec {Programs().net}\n")
        os.chmod(program, 0o755)
        manager = subprocess.Popen(
            ["systemd-socket-activate", "--accept", "--seqpacket", "-l", path, program],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(manager.wait)
        self.addCleanup(manager.terminate)
        wait_until(lambda: os.path.exists(path), 20, "it listens")
        ws = Workspace(os.path.join(self.prefix, "fleet"), free_port()).init().ceremony()
        image = make_image(os.path.join(self.prefix, "old.img"), "1.0.0")
        ws.roll_out(ws.pack("2.0.0", image), [("all", "100%")])
        with Nginx(ws):
            box = Box(ws, "gw-000001", image)
            box.environ = {"RUNTIME_DIRECTORY": runtime}
            self.assertIn("update: ", box.agent("check").stdout)
            started = read(starts).split()
            self.assertEqual(len(started), 1)
            wait_until(lambda: not os.path.exists(f"/proc/{started[0]}"), 20, "it has gone, too")
            manager.terminate()
            manager.wait()
            # Nobody listens any more: it starts one of its own.
            self.assertIn("update: ", box.agent("check").stdout)
            self.assertEqual(read(starts).split(), started)

    def holds(self, text, command_line):
        """What systemd makes of a unit's conditions where the kernel was started with this."""
        conditions = [f"{key}={value}" for key, value in settings(text, "Unit")
                      if key.startswith("Condition")]
        self.assertTrue(conditions)
        return run(["systemd-analyze", "condition", *conditions], check=None,
                   env={**os.environ, "SYSTEMD_PROC_CMDLINE": command_line}).returncode == 0

    def test_the_guard_of_trials_starts_in_tries_alone(self):
        unit = read(self.paths["sluice-trial"])
        for word in ("1", "loader", "firmware", "firmware:0010,0011"):
            self.assertTrue(self.holds(unit, f"ro sluice.slot=B sluice.trial={word} quiet"), word)
        for line in ("ro sluice.slot=A quiet", "ro sluice.slot=A sluice.trial=0 quiet"):
            self.assertFalse(self.holds(unit, line), line)

    def test_nobody_but_the_agent_confirms_an_entry_of_systemd_boot(self):
        """systemd does so itself, of whatever comes up."""
        part = read(f"{self.prefix}/lib/systemd/system/systemd-bless-boot.service.d/sluice.conf")
        self.assertTrue(self.holds(part, "root=x ro quiet"))
        for side in "AB":
            self.assertFalse(self.holds(part, f"root=x ro sluice.slot={side} sluice.trial=loader"))

    def test_what_is_named_is_installed_or_made(self):
        self.assertIn(f"{self.prefix}/{EXAMPLES} has two", read(self.paths["sluice-agent"]))
        tmpfiles = "".join(read(f"{self.prefix}/lib/tmpfiles.d/{name}.conf")
                           for name in ("sluice", "sluice-agent"))
        made = re.findall(r"^d (\S+)", tmpfiles, re.M)
        for folder in ("/srv/sluice", "/etc/sluice", "/var/lib/sluice"):
            self.assertIn(folder, made)
        users = re.findall(r"^u (\S+)", read(f"{self.prefix}/lib/sysusers.d/sluice.conf"), re.M)
        watch = dict(settings(read(self.paths["sluice-watch"]), "Service"))
        self.assertIn(watch["User"], users)
        self.assertEqual(watch["WorkingDirectory"], "/srv/sluice")


class Calls(FleetCase):
    def test_an_update_makes_no_call_that_its_sandbox_forbids(self):
        box = self.box(start=False)
        trace = box.path("calls")
        # -D: the agent stays the child that the box's power button knows.
        box.script("system", f'exec strace -D -f -qq -e signal=none -o "{trace}.$$" '
                   f'{box.programs.agent} "$@"\n')
        box.system = box.path("system")
        box.script("health.d/10-fine", "exit 0\n")
        self.roll_out()
        box.start()
        self.wait_for_outcome(box, "ok", timeout_s=100)
        box.stop()
        self.assert_runs(box, NEW)
        made, by_net = set(), set()
        for name in os.listdir(box.dir):
            if name.startswith("calls."):
                calls = re.findall(r"^(\d+) +(\w+)\(", read(box.path(name)), re.M)
                # A service of its own; here it is the agent's child, and becomes who that is.
                net = {pid for pid, call in calls if call == "execveat"}
                made |= {call for pid, call in calls if pid not in net}
                by_net |= {call for pid, call in calls if pid in net}
        self.assertIn("pwrite64", made)
        self.assertNotIn("connect", made)
        self.assertIn("connect", by_net)
        self.assert_allowed("sluice-agent", made)
        self.assert_allowed("sluice-net@", by_net - {"setgroups", "setresgid", "setresuid",
                                                     "capset", "setrlimit"})

    def assert_allowed(self, unit, made):
        allowed = calls_allowed(read(os.path.join(ROOT, f"agent/systemd/{unit}.service")))
        self.assertIn("read", allowed)
        self.assertNotIn("mount", allowed)
        self.assertEqual(made - allowed, set())


class Watch(FolderCase):
    def test_the_watch_tells_the_service_manager_that_it_lives(self):
        ws = Workspace(os.path.join(self.folder, "fleet"), free_port()).init().ceremony()
        manager = Manager(self.folder, 100)
        self.addCleanup(manager.stop)
        process = subprocess.Popen([ws.programs.sluice, "watch"], cwd=ws.path(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   env={**os.environ, **manager.environ})
        self.addCleanup(process.kill)
        manager.wait_for_signs()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0)
        manager.catch_up()
        lines = manager.lines(process.pid)
        self.assertEqual((lines[0], lines[-1]), ("READY=1", "STOPPING=1"))


if __name__ == "__main__":
    unittest.main()

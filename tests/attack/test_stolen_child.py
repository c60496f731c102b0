"""The network child taken over: it holds the box's certificate, TLS key and network, and a socket
to its parent. Every deed of hostile_child.py, with the agent as it is on the other end: it can keep
things from the box, and make it install, condemn or believe nothing."""
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

from fleet import wait_until
from fleet.tally import members
from fleet.workspace import clock_preload
from siege import NEW, OLD, Siege
from spool import is_signed_by, spooled

HOSTILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hostile_child.py")


class NetworkChild(Siege):
    """2.0.0 is rolled out to the box with its gate open."""

    def possess(self, deed, command="run", line=None, env=None, **told):
        """Starts the agent with a child that does this; `check` is run to its end. env is the
        agent's; what its child is told is no part of that, for it gets none."""
        folder = self.box.path("possessed")
        agent = os.path.join(folder, "sluice-agent")
        os.makedirs(folder, exist_ok=True)
        shutil.copy(self.box.programs.agent, agent)
        shutil.copy(self.box.programs.tool("possessed"), os.path.join(folder, "sluice-net"))
        with open(os.path.join(folder, "deed"), "w", encoding="utf-8") as f:
            f.writelines(f"export {name}={value}\n" for name, value in told.items())
            f.write(line or f"exec {sys.executable} -B {HOSTILE} {deed}\n")
        argv = [agent, *self.box.agent_argv(command)[1:]]
        env = {**os.environ, **(env or {})}
        if command == "check":
            done = subprocess.run(argv, env=env, cwd=self.box.dir, capture_output=True, text=True,
                                  timeout=60, stdin=subprocess.DEVNULL)
            return done.stdout + done.stderr
        with open(self.box.path("agent.log"), "wb") as log:
            self.agent = subprocess.Popen(argv, env=env, cwd=self.box.dir, stdout=log, stderr=log,
                                          stdin=subprocess.DEVNULL)
        return None

    def wait_for_log(self, text):
        wait_until(lambda: text in self.box.log(), 30,
                   lambda: f"'{text}' is said:\n{self.box.log()[-2000:]}")

    def assert_no_harm(self, other_side=True):
        """Nothing is installed, condemned or stopped, and the agent ends when it is told to."""
        if self.agent is not None:
            before = time.monotonic()
            self.end_agent()
            self.assertLess(time.monotonic() - before, 10)
        self.assert_untouched(other_side)
        status = self.box.status()
        self.assertEqual((status["failed"], status["stops"]), ([], []))

    def assert_no_lie(self, *outcomes):
        """Of what the box has reported, in whose words ever, this is all it calls an outcome."""
        self.assertEqual(set(self.workspace.outcomes(self.box.name)) | set(outcomes),
                         set(outcomes))

    def assert_harmless(self, deed, says, other_side=True, **env):
        self.possess(deed, **env)
        self.wait_for_log(says)
        self.assert_no_harm(other_side)
        self.assert_no_lie()
        self.assert_installs()

    def test_one_that_behaves_installs(self):
        """So that whatever the others do not get done is not for lack of a working child."""
        self.possess("serves")
        self.assert_installs()

    def test_it_forges_no_metadata(self):
        self.assertRegex(self.possess("flips_metadata", "check"), "timestamp.*|0 of 1|not JSON")
        self.assert_no_harm()
        self.assertRegex(self.possess("flips_plans_and_gates", "check"),
                         "is not the file that (rollouts|gates) signed for")
        self.assert_no_harm()
        self.assert_installs()

    def refuse_bytes(self, deed, why, other_side, **env):
        """Wrong bytes are a failure that is told, and not one that is remembered."""
        self.possess(deed, **env)
        report = self.wait_for_report(lambda r: r["outcome"] == "failed", "refused")
        self.assertEqual((report["class"], report["state"]), ("untrusted", "idle"))
        self.assertRegex(report["detail"], why)
        self.assert_no_harm(other_side)
        self.assert_installs()

    def test_it_forges_no_head_of_a_bundle(self):
        self.refuse_bytes("flips_heads", "head's SHA-256 is not what signed metadata says", True)

    def chunks_at(self):
        return str(next(start for what, start, _ in members(self.bundles[NEW]) if what == "data"))

    def test_it_forges_no_page(self):
        self.refuse_bytes("flips_pages", "a page is not the one that was sealed", True,
                          CHUNKS_AT=self.chunks_at())

    def test_it_forges_no_chunk(self):
        self.refuse_bytes("flips_chunks", "stored bytes are not those of the index", False,
                          CHUNKS_AT=self.chunks_at())

    def test_it_installs_no_bundle_of_its_own(self):
        """Not even one with a valid release signature."""
        self.refuse_bytes("brings_another_image", "head's SHA-256 is not what signed metadata",
                          True, EVIL_BUNDLE=self.bundles[OLD])

    def test_it_condemns_no_release(self):
        """Whatever it calls the failure: that is how a mirror's mischief would spread."""
        self.assert_harmless("blames_the_file", "the bundle is far too large for this box")

    def test_it_blames_no_configuration(self):
        self.assert_harmless("blames_the_box", "agent.conf is wrong")

    def test_it_claims_no_stop_and_no_malformed_release(self):
        """Such words are not the child's to say: it is ended for them."""
        for deed in ("claims_a_stop", "condemns"):
            with self.subTest(deed):
                self.put_back("boxes")
                self.possess(deed)
                self.wait_for_log("the network process was ended: message of the network process")
                self.assert_no_harm()
                self.assert_no_lie()
        self.assert_installs()

    def test_it_hides_what_is_new_until_the_timestamp_expires(self):
        """A stop, say: that is availability, and what the expiry of the timestamp bounds."""
        self.forger.publish(timestamp=lambda signed: signed.update(expires=time.strftime(
            "%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))))
        old = shutil.copy(self.forger.metadata_path("timestamp.json"), self.folder)
        self.box.script("inhibit.d/10-wait", "exit 1\n")
        self.workspace.stop("stable")
        self.possess("says_nothing_is_new", OLD_TIMESTAMP=old)
        self.wait_for_log("updating: gateway 2.0.0")
        self.end_agent()
        self.possess("says_nothing_is_new", OLD_TIMESTAMP=old,
                     env=clock_preload(self.folder, 1200))
        self.wait_for_log("timestamp metadata, version")
        self.assertRegex(self.box.log(), "timestamp metadata, version .* expired at")
        self.assert_no_harm()
        self.assert_no_lie()
        os.unlink(self.box.path("inhibit.d", "10-wait"))
        self.assert_decides("held: stopped by gates/stable.json")

    def test_it_puts_the_box_to_sleep_for_a_bounded_time_only(self):
        self.assert_harmless("wants_to_be_left_alone", "busy")

    def test_one_that_dies_again_and_again_takes_nobody_along(self):
        self.assert_harmless("dies", "sluice-net ended with status 1; ")

    def test_one_that_closes_its_connection_and_stays_is_ended(self):
        self.assert_harmless("closes_and_stays", "closed its connection and went on; it was ended")

    def test_one_that_dies_before_it_works_takes_nobody_along(self):
        starts = self.box.path("starts")
        self.possess("serves", line=f"echo >> {starts}; exit 1\n")
        wait_until(lambda: os.path.exists(starts) and os.path.getsize(starts) > 1, 60,
                   "it has been started twice")
        self.assert_no_harm()
        self.assert_installs()

    def test_one_that_is_silent_keeps_nobody(self):
        """SIGTERM is heard at once, though nothing ever comes."""
        self.possess("is_silent")
        time.sleep(3)
        self.assertIsNone(self.agent.poll())
        self.assert_no_harm()
        self.assert_installs()

    def test_one_that_never_falls_silent_keeps_nobody(self):
        self.possess("never_falls_silent")
        time.sleep(3)
        self.assertLess(self.memory_kib(), 64 << 10)
        self.assert_no_harm()
        self.assert_installs()

    def memory_kib(self):
        with open(f"/proc/{self.agent.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))

    def test_one_that_sends_without_end_is_cut_off(self):
        self.assert_harmless("sends_without_end", "more bytes than were asked for")

    def test_it_forges_no_report(self):
        """It can put what it likes under the box's name, and sign none of it."""
        self.box.script("inhibit.d/10-wait", "exit 1\n")
        self.possess("forges_reports")
        forged = wait_until(lambda: spooled(self.workspace), 30, "a report came")
        self.assert_no_harm()
        self.assertTrue(all(r["signed"]["outcome"] == "ok" for r in forged.values()))
        self.assertFalse(any(self.is_the_boxs(r) for r in forged.values()))
        self.possess("serves")
        wait_until(lambda: any(map(self.is_the_boxs, spooled(self.workspace).values())), 30,
                   "a true report came")
        os.unlink(self.box.path("inhibit.d", "10-wait"))
        self.assert_installs()

    def is_the_boxs(self, report):
        return is_signed_by(self.workspace, report, self.box.name)

    def test_it_keeps_reports_back_and_the_box_looks_offline(self):
        """Which DESIGN has people look into: that may be tampering."""
        self.box.script("inhibit.d/10-wait", "exit 1\n")
        self.possess("keeps_reports_back")
        self.wait_for_log("updating: gateway 2.0.0")
        time.sleep(1)
        self.assert_no_harm()
        self.assertEqual(spooled(self.workspace), {})
        os.unlink(self.box.path("inhibit.d", "10-wait"))
        self.assert_installs()

    def test_it_cannot_be_killed_into_an_install(self):
        """Ended in the middle of a range, over and over: chunks that were verified stay, and the
        update is what was signed."""
        self.possess("serves")
        pid = self.agent.pid
        for _ in range(5):
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                    for child in f.read().split():
                        os.kill(int(child), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass
            time.sleep(0.4)
        self.assert_installs()


if __name__ == "__main__":
    unittest.main()

"""Several who write the CRL, or have it read, at the same moment."""
import contextlib
import fcntl
import os
import subprocess
import unittest

from fleet import run, wait_until
from watching import Watched

RELOAD = """#!/bin/sh
touch begun
while [ -e slow ]; do sleep 0.05; done
"""


class Crl(Watched):
    def read(self, name):
        with open(self.ws.path(name), "rb") as f:
            return f.read()

    def write(self, name, text=""):
        with open(self.ws.path(name), "w", encoding="ascii") as f:
            f.write(text)

    @contextlib.contextmanager
    def writer(self):
        """Somebody who has the lock."""
        with open(self.ws.path("crl.lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def revoke(self, name):
        """Begins to; it says that in a file."""
        with open(self.ws.path(name), "wb") as said:
            process = subprocess.Popen([self.ws.programs.sluice, "box", "revoke", name],
                                       stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                       env=dict(os.environ, SLUICE_WORKSPACE=self.ws.dir))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def revoke_later(self, name):
        """Begins to, where it has to wait for somebody."""
        process = self.revoke(name)
        wait_until(lambda: b"waiting for it" in self.read(name), 30, "it waits for the lock")
        return process

    def end(self, process, name):
        self.assertEqual(process.wait(60), 0, self.read(name))

    def revoked(self):
        """How many certificates are on the CRL."""
        return run(["openssl", "crl", "-noout", "-text", "-in", self.ws.path("tls", "crl.pem")]
                   ).stdout.count("Serial Number:")

    def is_owed(self):
        return "is not read by the web server" in self.ws.sluice("status").stdout

    def test_who_is_revoked_while_another_waits_is_on_its_crl(self):
        with self.writer():
            first = self.revoke_later("gw-07")
            second = self.revoke_later("gw-08")
            second.kill()
            second.wait()
            self.assertEqual(self.revoked(), 0)
        self.end(first, "gw-07")
        self.assertEqual(self.revoked(), 2)

    def test_the_next_writer_waits_for_the_reload_and_outlives_a_kill(self):
        self.write("slow")
        self.write("reload", RELOAD)
        os.chmod(self.ws.path("reload"), 0o755)
        self.ws.set(reload=self.ws.path("reload"))
        first = self.revoke("gw-07")
        wait_until(lambda: os.path.exists(self.ws.path("begun")), 30, "it reloads")
        second = self.revoke_later("gw-08")
        self.assertEqual(self.revoked(), 1)
        self.assertTrue(self.is_owed())
        first.kill()
        first.wait()
        os.unlink(self.ws.path("slow"))
        self.end(second, "gw-08")
        self.assertEqual(self.revoked(), 2)
        self.assertFalse(self.is_owed())

    def test_the_watch_does_nothing_beside_whoever_writes_one(self):
        self.ws.set(reload="false")
        self.ws.sluice("box", "revoke", "gw-08", check=1)
        self.ws.set(reload="cp tls/crl.pem seen")
        self.ws.clock_s = 4 * 86400
        before = self.read("tls/crl.pem")
        with self.writer():
            said = self.watch(check=None)
        self.assertNotIn("crl.lock", said)
        self.assertNotIn("renewed the CRL", said)
        self.assertEqual(self.read("tls/crl.pem"), before)
        self.assertFalse(os.path.exists(self.ws.path("seen")))
        self.assertTrue(self.is_owed())
        said = self.watch()
        self.assertIn("renewed the CRL", said)
        self.assertIn("has read the last CRL", said)
        self.assertNotEqual(self.read("tls/crl.pem"), before)
        self.assertEqual(self.read("seen"), self.read("tls/crl.pem"))

    def test_who_was_revoked_by_somebody_who_was_killed_is_put_on_the_crl(self):
        with self.writer():
            killed = self.revoke_later("gw-08")
            killed.kill()
            killed.wait()
        self.assertEqual(self.revoked(), 0)
        self.assertIn("renewed the CRL", self.watch())
        self.assertEqual(self.revoked(), 1)
        self.ws.sluice("box", "revoke", "gw-07")
        self.assertNotIn("renewed the CRL", self.watch())

    def test_a_crl_that_cannot_be_made_holds_up_no_reload(self):
        self.ws.set(reload="false")
        self.ws.sluice("box", "revoke", "gw-08", check=1)
        self.ws.set(reload="cp tls/crl.pem seen")
        self.write("tls/ca.key", "damaged")
        self.ws.clock_s = 4 * 86400
        said = self.watch(check=1)
        self.assertIn("renewing the CRL, whose expiry", said)
        self.assertIn("has read the last CRL", said)
        self.assertFalse(self.is_owed())


if __name__ == "__main__":
    unittest.main()

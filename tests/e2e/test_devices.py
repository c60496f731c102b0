"""Keys that never leave their devices sign through --sign-with; openssl plays the devices."""
import os
import pty
import subprocess
import time
import unittest

from machines import Machines
from publishing import SLUICE

PIN_SCRIPT = """#!/bin/sh
printf 'PIN: ' >/dev/tty
read pin </dev/tty
[ "$pin" = 1234 ] || { echo "wrong PIN" >&2; exit 3; }
exec openssl dgst -sha256 -sign "$(dirname "$0")/hsm.pem"
"""


class Devices(Machines):
    def device(self, name="hsm", kind=("EC", "ec_paramgen_curve:P-256")):
        pem = self.path("keys", name + ".pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", kind[0], "-pkeyopt", kind[1], "-out",
                        pem], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", pem, "-pubout", "-outform", "DER", "-out",
                        self.path("keys", name + ".der")], check=True)
        self.sluice("key", "import", self.path("keys", name + ".der"), self.path("keys", name))
        return f"openssl dgst -sha256 -sign {pem}"

    def test_a_p256_key_holds_root_and_releases(self):
        command = self.device()
        self.sluice("root", "init", "--root", self.key("hsm", "pub"), "--threshold", "1",
                    "--targets", self.key("targets"), "--snapshot", self.key("snapshot"),
                    "--timestamp", self.key("timestamp"))
        self.stage("root")
        self.sluice_here("metadata", "sign", self.path("request.json"), "--key",
                         self.key("hsm", "pub"), "--sign-with", command, "--yes")
        self.sluice("metadata", "merge", self.path("request.json"))
        root = self.walk()["root"]
        keyid, = root["roles"]["root"]["keyids"]
        self.assertEqual((root["keys"][keyid]["keytype"], root["keys"][keyid]["scheme"]),
                         ("ecdsa", "ecdsa-sha2-nistp256"))
        self.sluice("root", "rotate", "--timestamp", self.key("timestamp"), "--key",
                    self.key("hsm", "pub"), "--sign-with", command, "--yes")
        self.assertEqual(self.walk()["root"]["version"], 2)
        self.role_add("releases", member="hsm")
        bundle = self.bundle()
        for args in (("sign", bundle), ("release", bundle, "-w", self.dir)):
            self.sluice_here(*args, "--key", self.key("hsm", "pub"), "--sign-with", command)
        self.assertIn("bundles/gw-1.ota", self.walk()["releases"]["targets"])
        self.sluice_here("verify", bundle, "--metadata", self.path("site/metadata"))

    def sluice_here(self, *args, code=0):
        done = subprocess.run([SLUICE, *args], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}{done.stderr}")
        return done

    def bundle(self):
        image, recipe = self.path("image"), self.path("manifests/gw.yaml")
        with open(image, "wb") as f:
            f.write(os.urandom(70000))
        with open(recipe, "w", encoding="ascii") as f:
            f.write(f"name: gw\nversion: 1\nrollback_index: 1\ncompatible: [x]\npayloads:\n"
                    f"  - {{name: r, slot: r, kind: image, source: {image}}}\n")
        self.sluice_here("pack", recipe, "-o", self.path("gw-1.ota"))
        return self.path("gw-1.ota")

    def test_an_rsa_key_signs_pss(self):
        command = self.device("rsa", ("RSA", "rsa_keygen_bits:2048")) + \
            " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1"
        self.sluice("root", "init", "--root", self.key("root1"), "--threshold", "1", "--targets",
                    self.key("rsa", "pub"), "--snapshot", self.key("snapshot"), "--timestamp",
                    self.key("timestamp"))
        self.sluice("metadata", "renew", "targets", "--key", self.key("rsa", "pub"),
                    "--sign-with", command, "--yes")
        root = self.walk()["root"]
        keyid, = root["roles"]["targets"]["keyids"]
        self.assertEqual(root["keys"][keyid]["scheme"], "rsassa-pss-sha256")

    def test_a_device_with_another_key_signs_nothing(self):
        self.root_init()
        self.device("one")
        command = self.device("two")
        self.role_add("releases", member="one")
        done = self.sluice("metadata", "renew", "targets", "--key", self.key("one", "pub"),
                           "--sign-with", command, "--yes", code=1)
        self.assertIn("has no say", done.stderr)
        bundle = self.bundle()
        before = open(bundle, "rb").read()
        for bad in (command, "true", "echo 00", "false", "/nonexistent"):
            self.sluice_here("sign", bundle, "--key", self.key("one", "pub"), "--sign-with", bad,
                             code=1)
            self.assertEqual(open(bundle, "rb").read(), before)

    def test_options_that_do_not_go_together_are_refused(self):
        self.root_init()
        self.device()
        self.role_add("releases", member="hsm", code=0)
        for args in (("--sign-with", "true"),
                     ("--key", self.key("hsm", "pub")),
                     ("--key", self.key("hsm", "pub"), "--draft"),
                     ("--sign-with", "true", "--draft"), ()):
            self.sluice("role", "remove", "releases", *args, code=2)

    def test_a_command_may_ask_for_a_pin_at_the_terminal(self):
        self.device()
        self.root_init()
        self.role_add("releases", member="hsm")
        bundle = self.bundle()
        script = self.path("keys/pin")
        with open(script, "w", encoding="ascii") as f:
            f.write(PIN_SCRIPT)
        os.chmod(script, 0o700)
        for pin, status in ((b"1234\n", 0), (b"9999\n", 1)):
            pid, fd = pty.fork()
            if pid == 0:
                os.execv(SLUICE, [SLUICE, "sign", bundle, "--key", self.key("hsm", "pub"),
                                  "--sign-with", script])
            said = b""
            deadline = time.monotonic() + 30
            while b"PIN: " not in said and time.monotonic() < deadline:
                said += os.read(fd, 100)
            os.write(fd, pin)
            try:
                while True:
                    said += os.read(fd, 4096)
            except OSError:
                pass
            _, wait_status = os.waitpid(pid, 0)
            os.close(fd)
            self.assertEqual(os.waitstatus_to_exitcode(wait_status), status, said)

    def test_what_is_no_public_key_is_not_imported(self):
        for content in (b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC "
                        b"KEY-----\n", os.urandom(91)):
            with open(self.path("bad"), "wb") as f:
                f.write(content)
            self.sluice("key", "import", self.path("bad"), self.path("keys/bad"), code=1)
            self.assertFalse(os.path.exists(self.path("keys/bad.pub")))
        self.device()
        self.sluice("key", "import", self.path("keys/hsm.der"), self.path("keys/hsm"), code=1)
        self.sluice("key", "import", self.path("keys/hsm.der"), code=2)


if __name__ == "__main__":
    unittest.main()

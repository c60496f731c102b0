"""`sluice doctor`: what it finds, what it proves, and that it only looks."""
import glob
import hashlib
import json
import os
import shutil
import tempfile
import time
import unittest

from examining import ROLES, Case, key_new
from examining import begin as setUpModule  # noqa: F401
from examining import end as tearDownModule  # noqa: F401
from fleet import Workspace, flip, run


def everything_in(folder):
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            with open(path, "rb") as f:
                found[path] = (hashlib.sha256(f.read()).hexdigest(), os.stat(path).st_mtime_ns)
    return found


class Health(Case):
    def test_a_healthy_workspace_fits_a_screen(self):
        done = self.doctor()
        lines = done.stdout.split("\n")
        self.assertLessEqual(len(lines), 30)
        self.assertLessEqual(max(map(len, lines[1:])), 88)
        self.assertIn("the site is whole", lines[0])
        self.assertEqual(done.stderr, "")
        self.assertEqual(self.problems(), [])

    def test_it_changes_nothing_and_leaves_nothing(self):
        before = everything_in(self.ws.dir)
        scratch = tempfile.mkdtemp(dir=self.base)
        run([self.ws.programs.sluice, "doctor", "-w", self.ws.dir],
            env=dict(os.environ, TMPDIR=scratch))
        self.assertEqual(everything_in(self.ws.dir), before)
        self.assertEqual(os.listdir(scratch), [])

    def test_without_scratch_space_the_rest_is_told(self):
        done = run([self.ws.programs.sluice, "doctor", "--json", "-w", self.ws.dir],
                   env=dict(os.environ, TMPDIR="/nowhere/at/all"), check=1)
        report = json.loads(done.stdout)
        self.assertIn("the site cannot be read as a box would: making the folder /nowhere/at/all",
                      report["problems"][0]["what"])
        self.assertIn("TMPDIR", report["problems"][0]["do"])
        self.assertFalse(report["site"]["verified"])
        self.assertGreater(report["site"]["targets"], 0)
        self.assertEqual(report["stop"]["from_this_host"], "not tried")
        self.assertIn("/nowhere/at/all", " ".join(report["stop"]["missing"]))
        self.assertTrue(report["stolen"])

    def test_keys_that_cannot_be_looked_at_leave_the_rest(self):
        os.rename(self.ws.path("keys"), self.ws.path("elsewhere"))
        with open(self.ws.path("keys"), "w", encoding="ascii") as f:
            f.write("no folder")
        report = self.report(check=1)
        self.assertIn("what keys there are is not known: ", report["problems"][0]["what"])
        self.assertTrue(report["site"]["verified"])

    def test_a_great_many_files_among_the_keys_hold_up_nobody(self):
        for n in range(1100):
            open(self.ws.path("keys", f"note-{n}.txt"), "w", encoding="ascii").close()
        self.assertTrue(self.report()["healthy"])

    def test_a_pipe_for_a_key_is_refused_at_once(self):
        pipe = os.path.join(self.base, "pipe.key")
        os.mkfifo(pipe)
        self.addCleanup(os.unlink, pipe)
        report = self.report("--key", pipe, check=1)
        self.assertIn("is a named pipe", " ".join(report["stop"]["missing"]))

    def test_it_needs_no_right_to_write(self):
        """Another user's workspace, as monitoring may read it."""
        done = run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                    'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && '
                    'exec "$0" doctor -w "$1"', self.ws.programs.sluice, self.ws.dir], check=None)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_json_has_stable_names(self):
        report = self.report()
        self.assertEqual(set(report), {"boxes", "expiries", "healthy", "incoming",
                                       "problems", "roles", "site", "stolen", "stop", "time",
                                       "within_seconds", "workspace"})
        self.assertTrue(report["healthy"])
        self.assertEqual([r["name"] for r in report["roles"]],
                         ["root", "targets", "snapshot", "timestamp", *ROLES])
        self.assertEqual({x["kind"] for x in report["expiries"]},
                         {"role", "certificate", "crl", "box certificates"})
        self.assertEqual(report["site"]["verified"], True)
        self.assertEqual(report["boxes"], {"count": 1, "revoked": 0, "expired": 0, "due": 0})
        root = report["roles"][0]
        self.assertEqual([k["name"] for k in root["keys"]], ["root-1", "root-2", "root-3"])
        self.assertEqual({k["secret"] for k in root["keys"]}, {"elsewhere"})

    def test_nothing_published_is_said_so(self):
        ws = Workspace(tempfile.mkdtemp(dir=self.base), 8443)
        os.rmdir(ws.dir)
        ws.init()
        self.assertIn("nothing is published", ws.sluice("doctor", check=1).stderr)

    def test_wrong_words_are_usage(self):
        for words in (["--within", "30"], ["--within", ""], ["x"], ["--nonsense"], ["--within"]):
            self.doctor(*words, check=2)


class Expiry(Case):
    def test_what_expires_within_the_time_given_fails_it(self):
        self.assertEqual(self.bad("--within", "200d")[0][:13], "role rollouts")
        found = self.bad("--within", "400d")
        self.assertEqual([f.split()[1] for f in found],
                         ["rollouts", "root", "targets", "releases"])
        self.doctor("--within", "80d")

    def test_what_machines_renew_is_due_at_half_its_life(self):
        self.ws.clock_s = 11 * 3600
        self.doctor()
        self.ws.clock_s = 13 * 3600
        self.assertEqual([f.split()[1] for f in self.bad()], ["timestamp"])

    def test_what_has_expired_comes_first(self):
        self.ws.clock_s = 30 * 3600
        found = self.bad()
        self.assertIn("the site fails verification: timestamp metadata", found[0])
        self.assertRegex(found[1], "^role timestamp expired at 20")
        self.ws.clock_s = 8 * 86400
        found = [f for f in self.bad() if "expired at" in f and "site" not in f]
        self.assertEqual(len(found), 4)
        self.assertTrue(found[0].startswith("role timestamp"), found)
        self.assertTrue(any(f.startswith("the CRL") for f in found), found)

    def test_an_expired_delegated_role_is_found(self):
        self.ws.clock_s = 91 * 86400
        self.assertTrue(any(f.startswith("role rollouts expired") for f in self.bad()))

    def test_roles_that_roles_delegate_to_are_found(self):
        signed = self.ws.metadata("gates")["signed"]
        targets = self.ws.metadata("targets")["signed"]["delegations"]
        gates = next(r for r in targets["roles"] if r["name"] == "gates")
        signed["version"] += 1
        signed["delegations"] = {"keys": {k: targets["keys"][k] for k in gates["keyids"]},
                                 "roles": [dict(gates, name="inner", paths=["gates/x.json"])]}
        self.ws.sign_by_hand("gates", signed)
        self.ws.publish()
        self.assertIn("inner", [r["name"] for r in self.report()["roles"]])

    def certificate(self, days, ca=True):
        """A server certificate as somebody else would have made it."""
        key, crt = self.ws.path("tls/server.key"), self.ws.path("tls/server.crt")
        csr = self.ws.path("csr")
        run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=localhost", "-out", csr])
        signer = ["-CA", self.ws.path("tls/ca.crt"), "-CAkey", self.ws.path("tls/ca.key"),
                  "-CAcreateserial"] if ca else ["-signkey", key]
        run(["openssl", "x509", "-req", "-in", csr, "-days", days, "-out", crt, *signer])

    def test_the_servers_certificate_is_found_and_renewed(self):
        self.certificate("20")
        self.assertRegex(self.bad()[0], "^the server's certificate expires in (19|20) days")
        with open(self.ws.path("tls/server.key"), "rb") as f:
            key = f.read()
        self.ws.set(reload="touch reloaded")
        self.ws.sluice("tls", "renew")
        self.assertTrue(os.path.exists(self.ws.path("reloaded")))
        self.doctor()
        for name in ("127.0.0.1", "::1"):
            run(["openssl", "verify", "-CAfile", self.ws.path("tls/ca.crt"), "-purpose",
                 "sslserver", "-verify_ip", name, self.ws.path("tls/server.crt")])
        with open(self.ws.path("tls/server.key"), "rb") as f:
            self.assertEqual(f.read(), key)
        modulus = [run(["openssl", *what, "-in", self.ws.path(name)]).stdout for what, name in
                   ((["x509", "-noout", "-pubkey"], "tls/server.crt"),
                    (["pkey", "-pubout"], "tls/server.key"))]
        self.assertEqual(*modulus)

    def test_a_certificate_of_somebody_else_is_not_replaced(self):
        self.certificate("20", ca=False)
        before = everything_in(self.ws.path("tls"))
        done = self.ws.sluice("tls", "renew", check=1)
        self.assertIn("not made by this fleet's CA", done.stderr)
        self.assertEqual(everything_in(self.ws.path("tls")), before)
        for words in ([], ["show"], ["renew", "x"], ["renew", "--x"]):
            self.ws.sluice("tls", *words, check=2)

    def test_a_renewed_certificate_ends_with_its_ca(self):
        self.ws.clock_s = 10 * 365 * 86400
        self.ws.sluice("tls", "renew")
        ends = [run(["openssl", "x509", "-noout", "-enddate", "-in",
                     self.ws.path("tls", f"{name}.crt")]).stdout for name in ("ca", "server")]
        self.assertEqual(*ends)

    def test_a_crl_that_is_none_is_found(self):
        with open(self.ws.path("tls/crl.pem"), "w", encoding="ascii") as f:
            f.write("nothing")
        self.assertTrue(self.bad()[0].startswith("tls/crl.pem"))

    def test_a_crl_that_is_gone_is_found(self):
        os.remove(self.ws.path("tls/crl.pem"))
        self.assertTrue(self.bad()[0].startswith("tls/crl.pem is missing"))
        self.ws.sluice("publish")
        self.doctor()

    def crl(self):
        """Its number, and when it ends; how many there are."""
        path = self.ws.path("tls/crl.pem")
        with open(path, encoding="ascii") as f:
            count = f.read().count("BEGIN X509 CRL")
        return run(["openssl", "crl", "-noout", "-crlnumber", "-nextupdate", "-in",
                    path]).stdout, count

    def test_a_crl_is_as_old_as_it_says_and_not_as_its_file(self):
        path, (before, _) = self.ws.path("tls/crl.pem"), self.crl()
        os.utime(path, (1, 1))
        self.ws.publish()
        self.assertEqual(self.crl()[0], before)
        self.ws.clock_s = 5 * 86400
        os.utime(path, (time.time() + self.ws.clock_s,) * 2)
        self.ws.publish()
        self.assertNotEqual(self.crl()[0], before)

    def test_each_ca_has_a_crl_or_it_is_found(self):
        path = self.ws.path("tls/crl.pem")
        with open(path, encoding="ascii") as f:
            before = f.read()
        self.ws.sluice("tls", "ca", "add")
        self.assertEqual(self.crl()[1], 2)
        with open(path, "w", encoding="ascii") as f:
            f.write(before)
        self.assertTrue(self.bad()[0].startswith("tls/crl.pem: a CA has signed no CRL"))
        self.ws.publish()
        self.assertEqual(self.crl()[1], 2)

    def test_a_crl_is_written_though_the_web_servers_folder_has_moved(self):
        self.ws.set(reload="touch reloaded")
        os.rename(self.ws.path("nginx"), self.ws.path("elsewhere"))
        before, _ = self.crl()
        said = self.ws.sluice("box", "revoke", "gw-1", check=1).stderr
        self.assertIn("tls/crl.pem is new, but TLS sessions of before it go on", said)
        self.assertNotEqual(self.crl()[0], before)
        self.assertTrue(os.path.exists(self.ws.path("reloaded")))

    def test_a_pipe_among_the_keys_holds_up_nobody(self):
        for name in ("pipe.key", "pipe.pub"):
            os.mkfifo(self.ws.path("keys", name))
        self.assertIn("is not a regular file", self.doctor().stdout)

    def test_the_boxes_certificate_that_runs_out_first_is_named(self):
        self.replace("workspace.yaml", "box_certificate: 730d", "box_certificate: 20d")
        self.ws.sluice("box", "add", "gw-2")
        self.ws.sluice("box", "add", "gw-3")
        found = self.bad()
        self.assertEqual(len(found), 1)
        self.assertRegex(found[0], "^gw-2's certificate expires in (19|20) days")
        self.assertEqual(self.report(check=1)["boxes"],
                         {"count": 3, "revoked": 0, "expired": 0, "due": 2})
        self.assertIn("boxes cannot renew their certificates: no role speaks for them",
                      [p["what"] for p in self.report(check=1)["problems"]])
        self.ws.revoke_box("gw-2")
        self.ws.revoke_box("gw-3")
        self.doctor()


class Site(Case):
    def target(self, pattern):
        found, = glob.glob(self.ws.path("site/targets", pattern))
        return found

    def test_a_missing_bundle_is_found(self):
        os.unlink(self.target("bundles/*.ota"))
        self.assertRegex(self.bad()[0], "site fails verification: bundles/gateway-1.0.ota, "
                         "listed by releases: its file is missing")

    def test_a_wrong_size_is_found(self):
        with open(self.target("bundles/*.ota"), "ab") as f:
            f.write(b"x")
        self.assertIn("its size is wrong", self.bad()[0])

    def test_a_wrong_digest_is_found(self):
        path = self.target("rollouts/*.stable.json")
        flip(path, 20)
        self.assertIn("its digest is wrong", self.bad()[0])

    def test_a_missing_metadata_file_is_found(self):
        version = self.ws.metadata("releases")["signed"]["version"]
        os.unlink(self.ws.path("site/metadata", f"{version}.releases.json"))
        self.assertIn("role releases", self.bad()[0])

    def test_a_broken_timestamp_is_found(self):
        with open(self.ws.path("site/metadata/timestamp.json"), "r+b") as f:
            f.truncate(100)
        self.assertIn("the site fails verification", self.bad()[0])

    def test_a_lost_timestamp_is_no_beginning(self):
        os.unlink(self.ws.path("site/metadata/timestamp.json"))
        said = self.bad()
        self.assertIn("timestamp.json is missing", said[0])
        self.assertNotIn("root init", " ".join(said))

    def test_no_second_trust_begins_where_the_timestamp_was_lost(self):
        os.unlink(self.ws.path("site/metadata/timestamp.json"))
        with open(self.ws.path("site/metadata/1.root.json"), "rb") as f:
            before = f.read()
        key_new(self.ws, "other")
        keys = [word for role in ("root", "targets", "snapshot", "timestamp")
                for word in ("--" + role, self.ws.key("other"))]
        said = self.ws.sluice("root", "init", *keys, "--threshold", 1, check=1).stderr
        self.assertIn("restore site/", said)
        with open(self.ws.path("site/metadata/1.root.json"), "rb") as f:
            self.assertEqual(f.read(), before)

    def test_a_root_that_boxes_come_by_is_found_missing(self):
        os.rename(self.ws.path("site/metadata/1.root.json"), self.ws.path("elsewhere"))
        self.assertIn("the site fails verification", self.bad()[0])

    def test_keys_that_no_longer_may_are_found(self):
        key_new(self.ws, "gates-2")
        self.from_safe("targets")
        self.ws.sluice("role", "remove", "gates", "--key", self.ws.key("targets"), *self.asks)
        self.ws.sluice("role", "add", "gates", "--member", self.ws.path("keys/gates-2.pub"),
                       "--threshold", 1, "--key", self.ws.key("targets"), *self.asks)
        self.assertIn("not signed by its present keys", self.bad()[0])


class Theft(Case):
    def then(self, what):
        return next(s["then"] for s in self.report()["stolen"] if s["what"] == what)

    def enough(self, what):
        return next(s["enough_for"] for s in self.report()["stolen"] if s["what"] == what)

    def test_one_of_two_root_keys_is_good_for_nothing(self):
        self.assertIn("nothing alone", self.then("root-1"))
        self.assertEqual(self.enough("root-1"), [])

    def test_each_key_is_judged_by_what_it_may(self):
        self.assertEqual(self.enough("targets"), ["targets"])
        self.assertIn("no box takes it", self.then("releases"))
        self.assertIn("opens no wave", self.then("rollouts"))
        self.assertIn("open waves", self.then("gates"))
        self.assertIn("hide a stop for 7 days (snapshot's life)", self.then("timestamp"))

    def test_a_host_is_all_keys_on_it_that_open_by_themselves(self):
        self.assertEqual(self.enough("this host"), ["gates", "snapshot", "timestamp"])
        self.assertIn("until its gates key is taken away", self.then("this host"))
        os.unlink(self.ws.key("gates"))
        self.assertEqual(self.enough("this host"), ["snapshot", "timestamp"])
        self.assertIn("hide a stop for 7 days (gates' life)", self.then("this host"))
        self.from_safe("rollouts")
        self.assertEqual(self.enough("this host"), ["snapshot", "timestamp"])

    def test_how_long_a_stop_can_be_hidden_is_what_gates_live(self):
        os.unlink(self.ws.key("gates"))
        self.replace("workspace.yaml", "gates: 7d", "gates: 12d")
        self.assertIn("12 days (gates' life)", self.then("this host"))
        self.assertIn("7 days (snapshot's life)", self.then("timestamp"))

    def test_what_bounds_a_stolen_timestamp_key_is_the_shorter_life(self):
        self.replace("workspace.yaml", "snapshot: 7d", "snapshot: 30d")
        self.ws.publish()
        self.assertIn("7 days (gates' life)", self.then("timestamp"))

    def test_offline_keys_beside_online_ones_are_told(self):
        self.from_safe("root-1")
        self.assertIn("secret keys of root or targets lie on the host that has the online keys",
                      self.problems())

    def other(self, *roles, threshold=1):
        """A fleet of one key, which has these roles; each other role has its own."""
        ws = Workspace(tempfile.mkdtemp(dir=self.base), 8443)
        os.rmdir(ws.dir)
        ws.init()
        names = {r: "shared" if r in roles else r for r in
                 ("root", "targets", "snapshot", "timestamp", *ROLES)}
        for name in sorted(set(names.values()) | {"root-2"}):
            key_new(ws, name)
        ws.sluice("root", "init", "--root", ws.key(names["root"]), "--root", ws.key("root-2"),
                  "--threshold", threshold, "--targets", ws.key(names["targets"]), "--snapshot",
                  ws.key(names["snapshot"]), "--timestamp", ws.key(names["timestamp"]),
                  "--no-publish")
        self.ws = ws
        for role in ("snapshot", "timestamp"):
            self.replace("workspace.yaml", f"keys/{role}.key", f"keys/{names[role]}.key")
        ws.publish()
        for role in ROLES:
            ws.sluice("role", "add", role, "--member", ws.path("keys", names[role] + ".pub"),
                      "--threshold", 1, "--key", ws.key(names["targets"]))

    def test_a_key_that_releases_and_rolls_out_is_told(self):
        self.other("releases", "rollouts")
        self.assertIn("shared is a key of releases and rollouts: who releases should not be who "
                      "rolls out", self.problems())
        self.assertIn("only a gate is in between", self.then("shared"))

    def test_a_key_of_three_roles_installs_anything(self):
        self.other("releases", "rollouts", "gates")
        self.assertIn("install software of its own making", self.then("shared"))

    def test_an_online_key_with_another_role_is_told(self):
        self.other("snapshot", "gates")
        self.assertTrue(any("an online key should hold nothing else" in p
                            for p in self.problems()))

    def test_a_root_of_one_signature_is_told(self):
        self.other()
        self.assertTrue(any("one stolen root key is enough" in p for p in self.problems()))
        self.assertIn("everything", self.then("root"))
        self.other(threshold=2)
        self.assertTrue(any("one lost root key" in p for p in self.problems()))

    def test_keys_without_a_passphrase_are_told_but_not_online_ones(self):
        self.other()
        found, = (p for p in self.problems() if "without a passphrase" in p)
        self.assertEqual(found.split(": ")[1], "root, root-2, targets, releases, rollouts")


class Stop(Case):
    def stop(self, *args, check=0):
        return self.report(*args, check=check)["stop"]

    def test_two_publishers_each_prove_their_own(self):
        stop = self.stop()
        self.assertEqual((stop["from_this_host"], stop["with_a_publisher_dead"]),
                         ("proved", "proved"))
        self.replace("workspace.yaml", "keys/snapshot.key", "keys/snapshot-b.key")
        self.replace("workspace.yaml", "keys/timestamp.key", "keys/timestamp-b.key")
        self.from_safe("snapshot-b", "timestamp-b")
        for name in ("snapshot", "timestamp"):
            os.unlink(self.ws.key(name))
        stop = self.stop()
        self.assertEqual((stop["from_this_host"], stop["with_a_publisher_dead"]),
                         ("proved", "proved"))

    def test_the_second_keys_prove_it_where_the_first_are_gone(self):
        self.from_safe("snapshot-b", "timestamp-b")
        for name in ("snapshot", "timestamp"):
            os.unlink(self.ws.key(name))
        stop = self.stop()
        self.assertEqual(stop["with_a_publisher_dead"], "proved")
        self.assertIn("snapshot-b and timestamp-b", stop["how"])

    def test_it_is_proved_when_the_publisher_has_been_dead_for_days(self):
        self.ws.clock_s = 3 * 86400
        self.assertEqual(self.stop(check=1)["with_a_publisher_dead"], "proved")

    def test_an_old_copy_of_the_site_is_told(self):
        self.ws.clock_s = 3600
        self.assertEqual(self.problems(), [])
        self.ws.clock_s = 5 * 3600
        self.assertEqual([p.split(";")[0] for p in self.problems()],
                         ["this copy of the site is 5 h old"])

    def test_a_rotation_of_root_makes_room_for_a_second_publisher(self):
        ws = Workspace(tempfile.mkdtemp(dir=self.base), 8443)
        os.rmdir(ws.dir)
        self.ws = ws.init().ceremony()
        for name in ("snapshot-b", "timestamp-b"):
            key_new(ws, name)
        ws.sluice("root", "rotate", "--snapshot", ws.path("keys/snapshot.pub"), "--snapshot",
                  ws.path("keys/snapshot-b.pub"), "--timestamp", ws.path("keys/timestamp.pub"),
                  "--timestamp", ws.path("keys/timestamp-b.pub"), "--key", ws.key("root"), "--yes")
        stop = self.stop()
        self.assertEqual(stop["with_a_publisher_dead"], "proved")
        self.assertIn("snapshot-b and timestamp-b", stop["how"])

    def test_one_key_for_each_role_is_not_enough(self):
        ws = Workspace(tempfile.mkdtemp(dir=self.base), 8443)
        os.rmdir(ws.dir)
        self.ws = ws.init().ceremony()
        stop = self.stop()
        self.assertEqual((stop["from_this_host"], stop["with_a_publisher_dead"]),
                         ("proved", "cannot work"))
        self.assertEqual([m.split(";")[0] for m in stop["missing"]],
                         ["root names one snapshot key", "root names one timestamp key"])

    def test_a_key_that_root_does_not_name_is_missing(self):
        shutil.copy(self.ws.key("gates"), self.ws.key("timestamp"))
        os.unlink(self.ws.path("keys/timestamp.pub"))
        stop = self.stop()
        self.assertEqual(stop["from_this_host"], "not tried")
        self.assertIn("the timestamp key of workspace.yaml is not here, or not root's",
                      stop["missing"])

    def test_a_gates_key_with_a_passphrase_is_asked_for_by_name_only(self):
        key_new(self.ws, "gates-3", *self.asks)
        self.from_safe("targets")
        self.ws.sluice("role", "add", "gates-all", "--member",
                       self.ws.path("keys/gates-3.pub"), "--threshold", 1, "--paths",
                       "gates/all.json", "--before", "gates", "--key", self.ws.key("targets"),
                       *self.asks)
        done = self.ws.sluice("doctor", "--json", check=None, start_new_session=True)
        stop = json.loads(done.stdout)["stop"]
        self.assertEqual(stop["from_this_host"], "not tried")
        self.assertIn("give --key K", " ".join(stop["missing"]))
        stop = self.stop("--key", self.ws.key("gates-3"), *self.asks)
        self.assertEqual(stop["from_this_host"], "proved")

    def test_a_gates_role_of_two_signatures_needs_two_keys(self):
        key_new(self.ws, "gates-2")
        self.from_safe("targets")
        self.ws.sluice("role", "remove", "gates", "--key", self.ws.key("targets"), *self.asks)
        self.ws.sluice("role", "add", "gates", "--member", self.ws.path("keys/gates.pub"),
                       "--member", self.ws.path("keys/gates-2.pub"), "--threshold", 2, "--key",
                       self.ws.key("targets"), *self.asks)
        self.assertEqual(self.stop(check=1)["from_this_host"], "proved")
        os.unlink(self.ws.key("gates-2"))
        self.assertIn("gates needs 2 signatures, and 1", " ".join(self.stop(check=1)["missing"]))

    def test_a_gate_that_is_not_as_signed_fails_the_proof(self):
        for path in glob.glob(self.ws.path("site/targets/gates/*.all.json")):
            with open(path, "ab") as f:
                f.write(b" ")
        self.assertEqual(self.stop(check=1)["from_this_host"], "fails")


if __name__ == "__main__":
    unittest.main()

"""Updates of trees by deltas: what a box fetches where its application is a folder of files."""
import filecmp
import os
import random
import shutil
import unittest

from fleet import Box, Nginx, Workspace, free_port
from fleet.case import FolderCase
from fleet.process import wait_until
from fleet.tally import directives, requests

NAME = "gw-000001"
CHUNK = 65536
MODEL_CHUNKS = 40  # more than a box has in hand before it writes
SLOWLY = "limit_rate 400k;"
WAIT_S = 60


def noise(seed, size):
    return random.Random(seed).randbytes(size)


def changed(data, version):
    """Some bytes in every chunk are others."""
    out = bytearray(data)
    for at in range(100, len(out), 5000):
        out[at] ^= version
    return bytes(out)


def content(version):
    """{path: bytes}: programs that change, data that stay, one that has another name each time,
    and a model of which every other half of a chunk is new from the third on."""
    data = noise("module", 3 * CHUNK + 11)
    files = {"bin/one": changed(noise("one", 10 * CHUNK + 77), version),
             "bin/two": changed(noise("two", 6 * CHUNK), version),
             "lib/data": noise("data", 8 * CHUNK),
             "lib/edited": noise("edited", 4 * CHUNK),
             f"lib/module-{version}": data}
    for i in range(60):
        files[f"share/{i:03}"] = noise(f"share {i}", 50 * i)
    model = noise("model", MODEL_CHUNKS * CHUNK)
    if version > 2:
        half = CHUNK // 2
        model = b"".join(model[at:at + half] + noise(f"{version} {at}", half)
                         for at in range(0, len(model), CHUNK))
    files["lib/model"] = model
    return files


class DeltaTrees(FolderCase):
    """The box runs application 1.0.0, which came from a stick; its link leads there."""

    def setUp(self):
        super().setUp()
        self.workspace = Workspace(os.path.join(self.folder, "fleet"), free_port()).init()
        self.workspace.ceremony()
        self.nginx = Nginx(self.workspace, directives(self.workspace)).start()
        self.addCleanup(self.nginx.stop)
        self.bundles = {}
        for version in (1, 2):
            self.pack(version)
        self.workspace.release(self.bundles[1])
        self.make_box()

    def tree(self, version):
        return os.path.join(self.folder, f"tree-{version}")

    def pack(self, version):
        for path, data in content(version).items():
            path = os.path.join(self.tree(version), path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)
        self.bundles[version] = self.workspace.pack(
            f"{version}.0.0", None, payloads=[("app", "app", "tree", self.tree(version))])

    def make_box(self):
        with open(os.path.join(self.folder, "rootfs"), "wb") as f:
            f.write(noise("rootfs", CHUNK))
        self.box = Box(self.workspace, NAME, f.name)
        self.addCleanup(self.box.stop)
        self.link = self.box.path("app")
        sides = {side: self.box.path("app-" + side) for side in "ab"}
        os.makedirs(sides["a"])
        os.symlink(sides["a"], self.link)
        self.box.set({"slot app": {"type": "dir", **sides, "current": self.link}})
        self.box.agent("install", self.bundles[1], "--metadata",
                       self.workspace.path("site", "metadata"))
        self.box.agent("confirm")
        self.assertTrue(self.runs(1))

    def runs(self, version):
        """Whether the link leads to this version, whole."""
        here = os.path.realpath(self.link)
        files = content(version)
        found = [os.path.relpath(os.path.join(where, name), here)
                 for where, _, names in os.walk(here) for name in names]
        return sorted(found) == sorted(files) and all(
            filecmp.cmp(os.path.join(here, path), os.path.join(self.tree(version), path),
                        shallow=False) for path in files)

    def roll_out(self, version, old):
        self.workspace.sluice("release", self.bundles[version], "--delta-from",
                              self.bundles[old], "--key", self.workspace.key("releases"))
        self.workspace.roll_out(self.bundles[version], [("all", "100%")])

    def wait_for(self, version):
        wait_until(lambda: self.box.status()["pending"] is None and self.runs(version), WAIT_S,
                   lambda: f"{version} runs\n{self.box.log()[-3000:]}")

    def update(self, version):
        self.box.start()
        self.wait_for(version)
        self.box.stop()
        return self.box.state()["intake"]

    def fetched(self, kind):
        """Bytes of all answers for files of a kind."""
        return sum(r.body for r in requests(self.nginx, NAME) if r.path.endswith(kind))

    def edit(self, path, at):
        with open(os.path.join(self.link, path), "r+b") as f:
            f.seek(at)
            f.write(b"edited here")

    def test_an_update_comes_by_its_delta_and_what_was_edited_from_the_bundle(self):
        self.roll_out(2, 1)
        self.edit("lib/edited", 2 * CHUNK + 10)
        self.edit("bin/one", 3 * CHUNK + 10)
        intake = self.update(2)
        files = content(2)
        self.assertEqual(intake["plan_delta"], 16 * CHUNK)
        self.assertEqual(intake["delta"], 15 * CHUNK)
        self.assertEqual(intake["running"] + intake["delta"] + 2 * CHUNK,
                         sum(map(len, files.values())))
        self.assertEqual(intake["plan_in_place"], 0)
        # Two chunks, and as what they are stored.
        self.assertGreater(self.fetched(".ota"), 2 * CHUNK)
        self.assertLess(self.fetched(".ota"), 2 * CHUNK + 8192)
        delta = os.path.getsize(self.workspace.target_file(
            "bundles/gateway-2.0.0.from-1.0.0.delta"))
        self.assertEqual(self.fetched(".delta"), delta)
        self.assertLess(delta, CHUNK)

    def test_an_install_that_was_cut_off_goes_on_where_it_was(self):
        self.pack(3)
        self.roll_out(3, 1)
        self.nginx.set(directives(self.workspace) + SLOWLY)
        self.nginx.reload()
        self.box.start()
        model = self.box.path("app-b.new" if os.path.realpath(self.link).endswith("a")
                              else "app-a.new", "lib", "model")

        def begun():
            try:
                with open(model, "rb") as f:
                    return f.read(CHUNK) == content(3)["lib/model"][:CHUNK]
            except FileNotFoundError:
                return False

        wait_until(begun, WAIT_S, lambda: f"the model is written\n{self.box.log()[-3000:]}")
        self.box.kill()
        self.assertTrue(self.runs(1))
        self.nginx.set(directives(self.workspace))
        self.nginx.reload()
        intake = self.update(3)
        self.assertGreaterEqual(intake["plan_in_place"], 16 * CHUNK)
        self.assertLess(intake["delta"], (MODEL_CHUNKS - 15) * CHUNK)
        self.assertEqual(self.fetched(".ota"), 0)

    def test_a_box_that_lost_the_list_of_what_runs_takes_the_bundle(self):
        for name in os.listdir(self.box.path("state")):
            if name.startswith("head."):
                os.unlink(self.box.path("state", name))
        self.roll_out(2, 1)
        intake = self.update(2)
        self.assertEqual(intake["delta"], 0)
        self.assertGreater(intake["fetched"], 16 * CHUNK)

    def test_a_folder_that_is_nothing_like_its_release_costs_the_bundle(self):
        self.roll_out(2, 1)
        here = os.path.realpath(self.link)
        for path, data in content(1).items():
            with open(os.path.join(here, path), "wb") as f:
                f.write(noise("else", len(data)))
        shutil.rmtree(os.path.join(here, "share"))
        os.symlink(os.path.join(self.tree(1), "share"), os.path.join(here, "share"))
        intake = self.update(2)
        self.assertEqual(intake["running"], 0)
        self.assertLess(intake["delta"], 20000)


if __name__ == "__main__":
    unittest.main()

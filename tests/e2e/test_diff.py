"""`sluice diff`: what a box on one release fetches for another, and why."""
import contextlib
import gzip
import json
import lzma
import os
import random
import shutil
import struct
import subprocess
import tempfile
import unittest

from fleet import Box, Nginx, Workspace, free_port
from fleet.tally import directives, requests, tally
from fleet.watch import MIB, watched_install

NAME = "gw-000001"
UUIDS = ["5a1c0e00-0000-4000-8000-000000000001", "5a1c0e00-0000-4000-8000-000000000002"]
BUILT_AT = 1735689600
IMAGE_MIB = 24
NEAR = 0.002  # of what a box fetches, what is said of it may be off by


def noise(size, seed):
    return random.Random(seed).randbytes(size)


def text(lines, seed):
    rng = random.Random(seed)
    return b"".join(b"setting %d is %d\n" % (i, rng.randrange(1000)) for i in range(lines))


def kernel(plain):
    """What a kernel of x86 looks like: something that is run, and the kernel behind it."""
    carried = lzma.compress(plain)
    begin = bytearray(1024)
    begin[0x1f1] = 1
    struct.pack_into("<4sH", begin, 0x202, b"HdrS", 0x20f)
    struct.pack_into("<II", begin, 0x248, 0, len(carried))
    return bytes(begin) + carried + b"tail"


class Diff(unittest.TestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.folder = tempfile.mkdtemp(prefix="sluice-e2e-")
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.ws = Workspace(self.path("fleet"), free_port()).init()
        self.files = {"bin/app": noise(300000, 1), "bin/tool": noise(200000, 2),
                      "lib/text": text(30000, 3), "etc/conf": text(20, 4)}

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def tree(self, name, files):
        for path, data in files.items():
            path = self.path(name, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)
        return self.path(name)

    def image(self, name, files, uuid=UUIDS[0], size_mib=IMAGE_MIB):
        """An ext4 image in which nothing differs but what files do: the kernel's times of change
        are set afterwards, for mke2fs 1.47.0 takes them along."""
        tree, image = self.tree(name, files), self.path(name + ".ext4")
        with open(image, "wb") as f:
            f.truncate(size_mib << 20)
        env = dict(os.environ, E2FSPROGS_FAKE_TIME=str(BUILT_AT))
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "^has_journal",
                        "-U", uuid, "-E", f"hash_seed={uuid},root_owner=0:0", "-d", tree, image],
                       env=env, check=True, capture_output=True)
        self.settle(image, ["/"] + ["/" + os.path.relpath(os.path.join(where, name), tree)
                                    for where, dirs, names in os.walk(tree)
                                    for name in dirs + names], env)
        return image

    def debugfs(self, image, command):
        subprocess.run(["debugfs", "-w", "-R", command, image], check=True, capture_output=True)

    def settle(self, image, paths, env):
        commands = "".join(f'set_inode_field "{path}" {field} @{BUILT_AT}\n'
                           for path in paths for field in ("atime", "mtime", "ctime"))
        commands += "".join(f'set_inode_field "{path}" {field} 0\n' for path in paths
                            for field in ("atime_extra", "mtime_extra", "ctime_extra"))
        subprocess.run(["debugfs", "-w", "-f", "-", image], input=commands, text=True, env=env,
                       check=True, capture_output=True)

    def pack(self, version, *payloads):
        """payloads: (slot, kind, source)."""
        return self.ws.pack(version, None, sign=False,
                            payloads=[(slot, slot, kind, src) for slot, kind, src in payloads])

    def pack_image(self, version, image):
        return self.pack(version, ("rootfs", "image", image))

    def diff(self, old, new, *args):
        return json.loads(self.ws.sluice("diff", old, new, "--json", *args).stdout)

    def diff_images(self, old, new, *args):
        return self.diff(self.pack_image("1.0", old), self.pack_image("2.0", new), *args)

    def advice(self, found):
        return {a["what"]: a for p in found["payloads"] for a in p["advice"]}

    def test_the_file_that_changed_is_named_with_what_it_costs(self):
        old = self.image("old", self.files)
        new = self.image("new", {**self.files, "bin/app": noise(300000, 9)})
        found = self.diff_images(old, new)
        rootfs = found["payloads"][0]
        first = rootfs["files"][0]
        self.assertEqual((first["path"], first["change"]), ("/bin/app", "changed"))
        self.assertTrue(300000 <= first["fetched"] <= 300000 * 1.05, rootfs)
        self.assertLess(sum(f["fetched"] for f in rootfs["files"][1:]), 10000)
        self.assertEqual(sum(rootfs[k] for k in ("in_place", "moved", "zeros", "lacking")),
                         IMAGE_MIB * MIB)
        self.assertEqual(rootfs["contents"], "ext4")
        self.assertEqual(rootfs["fetched"],
                         sum(rootfs[k] for k in ("content", "hints", "cuts", "gaps")))
        self.assertEqual(found["fetched"], found["head"] + rootfs["fetched"])
        said = self.ws.sluice("diff", self.ws.path("gateway-1.0.ota"),
                              self.ws.path("gateway-2.0.ota")).stdout
        self.assertRegex(said, r"gateway 1\.0 to gateway 2\.0: a box fetches [\d.]+ KiB by a "
                         r"delta, [\d.]+ KiB without, of ")
        self.assertRegex(said, r"(?m)^ +29\d\.\d KiB +\d+\.\d% +29\d\.\d KiB  /bin/app, changed$")
        self.assertNotIn("smaller", said)
        said = self.ws.sluice("diff", "--no-delta", self.ws.path("gateway-1.0.ota"),
                              self.ws.path("gateway-2.0.ota")).stdout
        self.assertRegex(said, r"gateway 1\.0 to gateway 2\.0: a box fetches [\d.]+ KiB of ")
        self.assertRegex(said, r"(?m)^ +29\d\.\d KiB +\d+\.\d%  /bin/app, changed$")
        self.assertIn("  delta     not looked at (--no-delta)\n", said)

    def test_releases_that_are_the_same_cost_the_head(self):
        image = self.image("old", self.files)
        found = self.diff_images(image, image)
        self.assertEqual(found["payloads"][0]["content"], 0)
        self.assertEqual(found["payloads"][0]["files"], [])
        self.assertLess(found["fetched"], 40000)

    def fetch(self, bundle, image, tree=None):
        """The box that runs these after an update, and what that took: {part of it: bytes}."""
        self.ws.roll_out(bundle, [("all", "100%")])
        with Nginx(self.ws, directives(self.ws)) as nginx:
            box = Box(self.ws, NAME, image)
            if tree:
                sides = {side: box.path("app-" + side) for side in "ab"}
                shutil.copytree(tree, sides["a"])
                os.makedirs(sides["b"])
                box.set({"slot app": {"type": "dir", **sides}})
            watched_install(box, os.path.getsize(image))
            took = tally(nginx, NAME, bundle)
        return box, {what: n for what, n in took.items() if what not in ("metadata", "headers")}

    def test_what_is_said_is_what_a_box_fetches(self):
        self.ws.ceremony()
        # More chunks than a box takes for a sample, of which few are to be fetched.
        self.files["big"] = noise(20 * MIB, 20)
        changed = {**self.files, "bin/app": noise(150000, 1) + noise(150000, 9),
                   "lib/text": b"a line before all others\n" + self.files["lib/text"],
                   "new": noise(90000, 10) + text(9000, 11)}
        old = self.image("old", self.files, size_mib=32)
        new = self.image("new", changed, size_mib=32)
        trees = [self.tree(n, {"a": noise(400000, s), "b/b": noise(200000, 22), "c": b"c"})
                 for n, s in (("app-old", 21), ("app-new", 23))]
        bundles = [self.ws.pack(version, None, payloads=[("rootfs", "rootfs", "image", image),
                                                         ("app", "app", "tree", tree)])
                   for version, image, tree in (("1.0", old, trees[0]), ("2.0", new, trees[1]))]
        said = self.diff(*bundles)
        box, took = self.fetch(bundles[1], old, trees[0])
        self.assertTrue(box.holds("B", new))
        self.assertAlmostEqual(said["fetched"], sum(took.values()),
                               delta=NEAR * sum(took.values()), msg=f"{said}\n{took}")
        rootfs, app = said["payloads"]
        self.assertAlmostEqual(rootfs["content"] + rootfs["gaps"] + app["content"] + app["gaps"],
                               took["data"], delta=NEAR * took["data"])
        self.assertEqual([f["path"] for f in app["files"]], ["a"])
        self.assertGreater(rootfs["moved"], 0)

    def fetch_by_delta(self, bundles, images, trees):
        """What a box fetches that the first bundle runs on, and nothing of use beside it, for the
        second one, released with its delta: {"delta" or "bundle": bytes}."""
        with open(self.path("factory"), "wb") as f:
            f.write(noise(os.path.getsize(images[0]), 60))
        self.ws.roll_out(bundles[0], [("all", "100%")])
        self.ws.sluice("release", bundles[1], "--delta-from", bundles[0], "--key",
                       self.ws.key("releases"))
        with Nginx(self.ws, directives(self.ws)) as nginx:
            box = Box(self.ws, NAME, self.path("factory"))
            sides = {side: box.path("app-" + side) for side in "ab"}
            for folder in sides.values():
                os.makedirs(folder)
            box.set({"slot app": {"type": "dir", **sides}})
            box.factory_install(bundles[0])
            self.assertTrue(box.runs(images[0]))
            self.ws.publish_plan(self.ws.plan(bundles[1], [("all", "100%")]))
            self.ws.open_gate("all")
            watched_install(box, os.path.getsize(images[1]))
            self.assertTrue(box.holds("A", images[1]))
            took = dict.fromkeys(("delta", "bundle"), 0)
            for request in requests(nginx, NAME):
                if request.method == "GET" and "/targets/bundles/" in request.path:
                    took["delta" if request.path.endswith(".delta") else "bundle"] += request.body
        return took

    def test_what_is_said_of_a_delta_is_what_a_box_fetches_by_it(self):
        self.ws.ceremony()
        self.files["big"] = noise(20 * MIB, 20)
        changed = {**self.files, "bin/app": noise(150000, 1) + noise(150000, 9),
                   "lib/text": b"a line before all others\n" + text(30000, 3).replace(b"7", b"77"),
                   "new": noise(900000, 10) + text(9000, 11), "bin/tool": noise(200000, 13)}
        images = [self.image(n, files, size_mib=32)
                  for n, files in (("old", self.files), ("new", changed))]
        trees = [self.tree(n, {"a": noise(400000, 21) + noise(70000, s), "b/b": noise(200000, 22),
                               "c": b"c"})
                 for n, s in (("app-old", 24), ("app-new", 23))]
        bundles = [self.ws.pack(version, None, payloads=[("rootfs", "rootfs", "image", image),
                                                         ("app", "app", "tree", tree)])
                   for version, image, tree in zip(("1.0", "2.0"), images, trees)]
        said = self.diff(*bundles)
        took = self.fetch_by_delta(bundles, images, trees)
        payloads = [p["by_delta"] for p in said["payloads"]]
        self.assertEqual([p["used"] for p in payloads], [True, True])
        self.assertGreater(payloads[0]["content"], MIB // 2)
        self.assertGreater(payloads[0]["records"], 10000)
        self.assertAlmostEqual(said["delta"]["fetched"], sum(took.values()),
                               delta=NEAR * sum(took.values()), msg=f"{said}\n{took}")
        self.assertEqual(said["delta"]["fetched"],
                         said["delta"]["head"] + sum(p["fetched"] for p in payloads))
        records = sum(p["records"] for p in payloads)
        self.assertAlmostEqual(said["delta"]["head"] + records, took["delta"],
                               delta=NEAR * took["delta"], msg=f"{said}\n{took}")

    def test_where_little_changed_a_box_looks_no_further_and_so_does_it(self):
        """Looking at every byte of its slot has to promise a 256th of that."""
        self.ws.ceremony()
        self.files["lib/short"] = text(2000, 24)
        old = self.image("old", self.files)
        new = self.image("new", {**self.files, "lib/short": b"first\n" + self.files["lib/short"]})
        bundles = [self.ws.pack(version, image) for version, image in (("1.0", old), ("2.0", new))]
        said = self.diff(*bundles, "--no-delta")
        _, took = self.fetch(bundles[1], old)
        self.assertAlmostEqual(said["fetched"], sum(took.values()),
                               delta=NEAR * sum(took.values()), msg=f"{said}\n{took}")
        self.assertEqual(said["payloads"][0]["files"][0]["path"], "/lib/short")
        self.assertGreater(said["payloads"][0]["files"][0]["fetched"], 8000)

    def test_a_tree_is_told_by_file_and_files_of_other_names_are_seen(self):
        self.files["lib/module"] = noise(70000, 5)
        old = self.tree("old", self.files)
        files = {**self.files, "bin/app": self.files["bin/app"][:200000] + noise(100000, 9)}
        files["lib/renamed"] = files.pop("lib/module")
        new = self.tree("new", files)
        bundles = [self.pack(version, ("app", "tree", tree))
                   for version, tree in (("1.0", old), ("2.0", new))]
        found = self.diff(*bundles, "--no-delta")
        app = found["payloads"][0]
        costs = {f["path"]: (f["fetched"], f["change"]) for f in app["files"]}
        # Chunks of 64 KiB: three of the five are as they were.
        self.assertEqual(costs, {"bin/app": (300000 - 3 * 65536, "changed"),
                                 "lib/renamed": (70000, "new")})
        self.assertEqual(app["contents"], "tree")
        self.assertEqual(self.advice(found)["renamed-files"]["fetched"], 70000)

    def test_a_payload_that_is_new_says_so_and_costs_all_of_it(self):
        image, app = self.image("old", self.files), self.tree("app", {"bin": noise(500000, 5)})
        old = self.pack_image("1.0", image)
        new = self.pack("2.0", ("rootfs", "image", image), ("app", "tree", app))
        found = {p["name"]: p for p in self.diff(old, new)["payloads"]}
        self.assertEqual((found["rootfs"]["new"], found["app"]["new"]), (False, True))
        self.assertEqual(found["app"]["content"], 500000)
        self.assertIn("the old bundle has nothing of the kind for this slot",
                      self.ws.sluice("diff", old, new).stdout)
        # The same slot with something of another kind in it is no old payload either.
        other = self.pack("3.0", ("rootfs", "tree", app))
        self.assertTrue(self.diff(old, other)["payloads"][0]["new"])

    def test_advice_names_compressed_files_that_would_cost_less_if_they_were_not(self):
        words = text(60000, 6)
        old = self.image("old", {**self.files, "lib/log.gz": gzip.compress(words, mtime=0),
                                 "lib/noise.gz": gzip.compress(noise(50000, 30), mtime=0),
                                 "same.gz": gzip.compress(text(60000, 8), mtime=0),
                                 "boot/vmlinuz-6.1.0-55": kernel(text(60000, 31))})
        new = self.image("new", {**self.files, "lib/log.gz": gzip.compress(b"a\n" + words, mtime=0),
                                 "lib/noise.gz": gzip.compress(noise(50000, 32), mtime=0),
                                 "same.gz": gzip.compress(text(60000, 8), mtime=0),
                                 "boot/vmlinuz-6.1.0-56": kernel(b"b\n" + text(60000, 31))})
        found = self.diff_images(old, new)
        costs = {f["path"]: f["fetched_by_delta"] for f in found["payloads"][0]["files"]}
        advice = self.advice(found)["compressed-files"]
        self.assertEqual((advice["files"], advice["fetched"]),
                         (2, costs["/lib/log.gz"] + costs["/boot/vmlinuz-6.1.0-56"]))
        self.assertLess(advice["would_be"], 10000)
        said = self.ws.sluice("diff", self.ws.path("gateway-1.0.ota"),
                              self.ws.path("gateway-2.0.ota")).stdout
        self.assertRegex(said, r"what would make it smaller:\n  - [\d.]+ KiB is in files that are")
        self.assertIn("\n      /lib/log.gz\n", said)

    def test_compressed_files_are_weighed_by_what_a_delta_would_take_of_them(self):
        """Something differs in each of their blocks, of which a delta tells just that."""
        lines = text(60000, 6).splitlines(keepends=True)
        changed = [b"setting is changed\n" if i % 100 == 0 else line
                   for i, line in enumerate(lines)]
        packed = [gzip.compress(b"".join(plain), mtime=0) for plain in (lines, changed)]
        images = [self.image(name, {**self.files, "log.gz": data})
                  for name, data in zip(("old", "new"), packed)]
        found = self.diff_images(*images)
        advice = self.advice(found)["compressed-files"]
        self.assertGreater(advice["fetched"], 100000)
        self.assertLess(advice["would_be"], 20000)
        self.assertEqual(self.advice(self.diff_images(*images, "--no-delta")), {})

    def test_a_release_with_a_delta_is_advised_where_that_saves_a_quarter(self):
        lines = self.files["lib/text"].splitlines(keepends=True)
        lines[::100] = [b"setting is changed\n"] * len(lines[::100])
        old = self.image("old", self.files)
        found = self.diff_images(old, self.image("new", {**self.files,
                                                         "lib/text": b"".join(lines)}))
        self.assertTrue(found["delta"]["advised"])
        self.assertLess(found["delta"]["fetched"], found["fetched"] / 4)
        bundles = [self.ws.path(f"gateway-{version}.ota") for version in ("1.0", "2.0")]
        said = self.ws.sluice("diff", *bundles).stdout
        self.assertRegex(" ".join(said.split()), r"what would make it smaller: - [\d.]+ KiB less "
                         f"by a delta: release it with --delta-from {bundles[0]}")
        self.assertNotIn("--delta-from", self.ws.sluice("diff", *bundles, "--no-delta").stdout)

    def test_where_there_can_be_no_delta_it_says_why(self):
        for name, seed in (("old", 1), ("new", 2)):
            with open(self.path(name), "wb") as f:
                f.write(noise(3 * MIB, seed))
        found = self.diff_images(self.path("old"), self.path("new"))
        self.assertIn("it does not pay", found["delta"]["none"])
        self.assertNotIn("by_delta", found["payloads"][0])
        bundle = self.ws.path("gateway-1.0.ota")
        said = self.ws.sluice("diff", bundle, bundle).stdout
        self.assertIn("  delta     none: ", said)
        self.assertIn("are both version 1.0", " ".join(said.split()))
        self.assertNotIn("delta", self.diff(bundle, bundle, "--no-delta"))

    def test_what_a_record_takes_is_charged_to_what_is_new_in_it(self):
        tool = bytearray(self.files["bin/tool"])
        tool[::20000] = bytes(b ^ 1 for b in tool[::20000])
        files = {"bin/a": noise(40000, 70), "bin/tool": self.files["bin/tool"]}
        old = self.image("old", files)
        new = self.image("new", {"bin/a": noise(40000, 71), "bin/tool": bytes(tool)})
        found = self.diff_images(old, new)["payloads"][0]
        costs = {f["path"]: f["fetched_by_delta"] for f in found["files"]}
        self.assertEqual(found["by_delta"]["content"], 0)
        self.assertEqual(sum(costs.values()), found["by_delta"]["records"])
        self.assertTrue(40000 <= costs["/bin/a"] <= 40200, costs)
        self.assertLess(costs["/bin/tool"], 300)

    def test_advice_names_what_differs_in_metadata_that_could_be_the_same(self):
        old = self.image("old", self.files)
        new = self.image("new", {**self.files, "etc/conf": text(20, 9)}, uuid=UUIDS[1])
        metadata = self.advice(self.diff_images(old, new))["metadata"]
        self.assertEqual(metadata["detail"], "UUID, hash seed")
        third = shutil.copy(old, self.path("third.ext4"))
        self.debugfs(third, "set_inode_field /bin/tool mtime @2")
        metadata = self.advice(self.diff_images(old, third))["metadata"]
        self.assertEqual(metadata["detail"], "times of 1 files that are the same")

    def test_metadata_that_has_to_differ_is_no_matter_for_advice(self):
        many = {f"many/{i}": b"%d" % i for i in range(400)}
        old = self.image("old", self.files)
        new = self.image("new", {**self.files, **many, "etc/conf": text(20, 9)})
        self.debugfs(new, "set_inode_field /etc/conf mtime @2")
        found = self.diff_images(old, new)
        costs = {f["path"]: f["fetched"] for f in found["payloads"][0]["files"]}
        self.assertGreater(costs["(file system metadata)"], found["fetched"] / 10)
        self.assertEqual(self.advice(found), {})

    def test_advice_tells_of_old_bytes_in_free_blocks(self):
        old = self.image("old", self.files)
        new = self.image("new", {**self.files, "gone": noise(400000, 12)})
        self.debugfs(new, "rm /gone")
        found = self.diff_images(old, new)
        self.assertGreaterEqual(self.advice(found)["free-blocks"]["fetched"], 399000)
        self.assertEqual(found["payloads"][0]["files"][0]["path"], "(free blocks)")

    def test_advice_tells_of_images_that_are_compressed_as_a_whole(self):
        for name, seed in (("old", 1), ("new", 2)):
            with open(self.path(name), "wb") as f:
                f.write(b"hsqs" + noise(3 * MIB, seed))
        found = self.diff_images(self.path("old"), self.path("new"))
        self.assertEqual(found["payloads"][0]["contents"], "squashfs")
        self.assertGreater(self.advice(found)["compressed-image"]["fetched"], 3 * MIB)
        self.assertEqual([f["path"] for f in found["payloads"][0]["files"]], ["(the image)"])
        # One that was made so that most of it stays as it was is no matter for advice.
        with open(self.path("near"), "wb") as f:
            f.write(b"hsqs" + noise(2 * MIB, 1) + noise(MIB, 3))
        found = self.diff_images(self.path("old"), self.path("near"))
        self.assertEqual(found["payloads"][0]["contents"], "squashfs")
        self.assertEqual(self.advice(found), {})

    def test_a_file_system_that_is_damaged_is_told_without_files(self):
        old = self.image("old", self.files)
        new = self.image("new", {**self.files, "bin/app": noise(300000, 9)})
        with open(new, "r+b") as f:
            f.seek(1024 + 0x18)
            f.write(b"\x09")  # blocks of 512 KiB
        rootfs = self.diff_images(old, new)["payloads"][0]
        self.assertIn("cannot be opened", rootfs["files_unknown"])
        self.assertEqual([f["path"] for f in rootfs["files"]], ["(the image)"])
        self.assertGreater(rootfs["content"], 300000)

    def test_as_many_files_as_were_asked_for_are_shown(self):
        new = {f"f{i:02}": noise(20000 + 5000 * i, 50 + i) for i in range(14)}
        old, new = self.image("old", self.files), self.image("new", {**self.files, **new})
        bundles = [self.pack_image("1.0", old), self.pack_image("2.0", new)]

        def shown(*args):
            return self.ws.sluice("diff", *bundles, *args).stdout.count(" /f")
        self.assertEqual((shown(), shown("--top", "3"), shown("--all")), (10, 3, 14))
        self.assertEqual(shown("--top", "0"), 0)
        self.assertEqual(len(self.diff(*bundles, "--top", "2")["payloads"][0]["files"]), 2)
        self.assertEqual(self.diff(*bundles, "--threads", "1"),
                         self.diff(*bundles, "--threads", "5"))

    def test_what_is_no_bundle_or_is_damaged_is_refused(self):
        bundle = self.pack_image("1.0", self.image("old", self.files))
        with open(self.path("no.ota"), "wb") as f:
            f.write(noise(5000, 1))
        self.assertIn("no.ota", self.ws.sluice("diff", self.path("no.ota"), bundle, check=1).stderr)
        self.assertIn("none.ota", self.ws.sluice("diff", bundle, self.path("none.ota"),
                                                 check=1).stderr)
        for args in ((), (bundle,), (bundle, bundle, bundle), (bundle, bundle, "--top", "-1"),
                     (bundle, bundle, "--threads", "0"), (bundle, bundle, "--size")):
            self.ws.sluice("diff", *args, check=2)
        damaged = self.path("damaged.ota")
        shutil.copy(bundle, damaged)
        with open(damaged, "r+b") as f:
            f.seek(os.path.getsize(bundle) - 20000)
            byte = f.read(1)[0]
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte ^ 1]))
        self.assertIn("rootfs", self.ws.sluice("diff", damaged, bundle, check=1).stderr)
        self.assertIn("rootfs", self.ws.sluice("diff", bundle, damaged, check=1).stderr)


if __name__ == "__main__":
    unittest.main()

"""Updates by web servers and proxies that make something of their own of a request: real ones, and
whole boxes. What else they can do wrong is in test_ranges.py, range by range."""
import glob
import os
import re
import shutil
import tempfile
import threading
import unittest

from fleet import Box, Nginx, Workspace, free_port, wait_until
from fleet.nginx import Front
from fleet.tally import directives, requests
from fleet.watch import watched_install
from test_downloads import Proxy
from test_reuse import CHUNK, noise

SIZE = 32 * CHUNK
NEWS = (4, 17, 30)  # chunks that no older image has


class Clumsy(unittest.TestCase):
    """To an image that is as the old one but for three chunks."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sluice-clumsy-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.workspace = Workspace(os.path.join(cls.folder, "fleet"), free_port()).init()
        cls.workspace.ceremony()
        new = bytearray(noise("old", SIZE))
        for i in NEWS:
            new[i * CHUNK:(i + 1) * CHUNK] = noise(i, CHUNK)
        cls.old, cls.new, cls.other = (
            cls.image(name, data) for name, data in
            (("old", noise("old", SIZE)), ("new", new), ("other", noise("other", SIZE))))
        cls.bundle = cls.workspace.pack("2.0.0", cls.new)
        cls.workspace.roll_out(cls.bundle, [("all", "100%")])
        cls.nginx = Nginx(cls.workspace)
        cls.addClassCleanup(cls.nginx.stop)

    @classmethod
    def image(cls, name, data):
        path = os.path.join(cls.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def serve(self, more=""):
        self.nginx.stop()
        self.nginx.set(directives(self.workspace) + more)
        self.nginx.start()

    def update(self, name, image, meanwhile=None, **site):
        """Returns what it asked for of the bundle. meanwhile(box): in a thread beside it."""
        self.box = Box(self.workspace, name, image)
        self.addCleanup(self.box.stop)
        self.box.set({"site": site, "intervals": {"stall": "60s"}})
        if meanwhile:
            beside = threading.Thread(target=meanwhile, args=(self.box,))
            beside.start()
            self.addCleanup(beside.join)
        watched_install(self.box, SIZE)
        self.assertTrue(self.box.holds("B", self.new))
        return self.asked(name)

    def asked(self, name):
        return [r for r in requests(self.nginx, name) if "/bundles/" in r.path]

    def assert_one_stream(self, asked):
        """Behind the one for the head, which is left early."""
        self.assertEqual([r.status for r in asked], [200, 200], asked)
        self.assertEqual(asked[1].body, os.path.getsize(self.bundle))

    def test_a_server_without_ranges_gives_a_whole_image_in_one_stream(self):
        self.serve(" max_ranges 0;")
        self.assert_one_stream(self.update("gw-whole", self.other))

    def test_a_server_without_ranges_gives_a_few_chunks_in_one_stream(self):
        """What lies between them comes along, once, and is said."""
        self.serve(" max_ranges 0;")
        self.assert_one_stream(self.update("gw-few", self.old))
        self.assertIn("the server, or a proxy before it, ignores Range", self.box.log())

    def test_a_tunnel_to_a_server_without_ranges(self):
        self.serve(" max_ranges 0;")
        proxy = Proxy()
        self.addCleanup(proxy.close)
        self.assert_one_stream(self.update("gw-tunnel", self.old, proxy=proxy.url))
        self.assertEqual(set(proxy.lines), {f"CONNECT 127.0.0.1:{self.workspace.port} HTTP/1.1"})

    def test_a_proxy_that_fetches_all_and_gives_ranges(self):
        """nginx that caches, before the site: of the site it asks for whole files."""
        self.serve()
        front = Front(self.workspace, f"""
            proxy_cache_path {self.folder}/cache keys_zone=all:1m;
            proxy_cache all;
            location / {{ proxy_pass {self.workspace.url}; }}""").start()
        self.addCleanup(front.stop)
        self.assertEqual(self.update("gw-cached", self.old, url=front.url), [])
        self.assertEqual({(r.status, len(r.ranges)) for r in self.asked("")}, {(200, 0)})
        given = re.findall(r'"GET \S*/bundles/\S* HTTP/1.1" (\d+) (\d+)', front.log())
        self.assertEqual({status for status, _ in given}, {"206"})
        self.assertLess(sum(int(size) for _, size in given), SIZE // 4)

    # A copy of the site's targets, asked first for bundles: targets_url of agent.conf.

    def copy(self, change=lambda folder: None, more=""):
        folder = tempfile.mkdtemp(dir=self.folder)
        shutil.copytree(self.workspace.path("site", "targets"), folder, dirs_exist_ok=True)
        change(folder)
        front = Front(self.workspace, f"root {folder};\n{more}")
        self.addCleanup(front.stop)
        return front

    def assert_left(self, front):
        """Once, and nothing failed."""
        self.assertEqual(self.box.log().count(f"asking the site, and not {front.url}: "), 1,
                         self.box.log())
        self.assertEqual(self.box.log().count("updating: "), 1)

    def spoil(self, at):
        def change(folder):
            path, = glob.glob(os.path.join(folder, "bundles", "*.ota"))
            with open(path, "r+b") as f:
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(at)
                f.write(bytes([byte ^ 1]))
        return change

    def place_of_news(self):
        """Where in the bundle the second of the new chunks lies, which is stored as it is."""
        with open(self.bundle, "rb") as f:
            return f.read().index(noise(NEWS[1], CHUNK))

    def test_bundles_come_from_a_copy_and_nothing_else_does(self):
        self.serve()
        front = self.copy().start()
        self.assertEqual(self.update("gw-copy", self.other, targets_url=front.url), [])
        for line in front.log().splitlines():
            self.assertRegex(line, r'^"GET /bundles/\S*\.ota HTTP/1.1" 206 \d+ -\.$')
        self.assertIn("/metadata/timestamp.json",
                      [r.path for r in requests(self.nginx, "gw-copy")])
        self.assertNotIn("asking the site", self.box.log())

    def test_a_copy_that_is_down_is_left(self):
        self.serve()
        front = self.copy()
        self.assertNotEqual(self.update("gw-down", self.old, targets_url=front.url), [])
        self.assert_left(front)

    def test_a_copy_without_the_bundle_is_left(self):
        self.serve()
        front = self.copy(lambda folder: shutil.rmtree(os.path.join(folder, "bundles"))).start()
        self.assertNotEqual(self.update("gw-empty", self.old, targets_url=front.url), [])
        self.assert_left(front)

    def test_a_copy_that_spoils_a_chunk_is_left(self):
        self.serve()
        front = self.copy(self.spoil(self.place_of_news())).start()
        asked = self.update("gw-spoilt", self.other, targets_url=front.url)
        self.assertEqual({r.status for r in asked}, {206})
        self.assertLess(sum(r.body for r in asked), 28 * CHUNK)
        self.assert_left(front)

    def test_a_copy_that_spoils_the_head_is_left(self):
        self.serve()
        front = self.copy(self.spoil(700)).start()
        self.update("gw-head", self.old, targets_url=front.url)
        self.assert_left(front)

    def test_a_copy_that_ends_in_the_middle_is_left_and_nothing_comes_twice(self):
        """It goes slow behind more than a MiB, and down once that is written."""
        self.serve()
        front = self.copy(more="limit_rate_after 1500k; limit_rate 2k;").start()

        def end(box):
            def is_written():
                with open(box.slot("B"), "rb") as f:
                    return f.read(CHUNK) == noise("old", SIZE)[:CHUNK]

            wait_until(is_written, 60, box.log)
            front.stop()

        asked = self.update("gw-cut", self.other, end, targets_url=front.url)
        self.assertEqual({r.status for r in asked}, {206})
        self.assertLess(sum(r.body for r in asked), os.path.getsize(self.bundle) - (1 << 20))
        self.assert_left(front)

    def test_a_stop_is_heard_while_a_copy_is_slow(self):
        self.serve()
        front = self.copy(more="limit_rate 2k;").start()
        box = Box(self.workspace, "gw-slow", self.other)
        self.addCleanup(box.stop)
        box.set({"site": {"targets_url": front.url}, "intervals": {"stall": "60s"}})
        box.start()
        box.wait_for_phase("installing")
        stop = self.workspace.stop("stable")
        try:
            wait_until(lambda: box.status()["stops"], 30, box.log)
            wait_until(lambda: "stopped" in self.workspace.outcomes("gw-slow"), 30, box.log)
        finally:
            self.workspace.resume(stop)


if __name__ == "__main__":
    unittest.main()

"""Updates by web servers and proxies that make something of their own of a request: real ones, and
whole boxes. What else they can do wrong is in test_ranges.py, range by range."""
import os
import re
import shutil
import tempfile
import unittest

from fleet import Box, Nginx, Workspace, free_port
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

    def update(self, name, image, **site):
        """Returns what it asked for of the bundle."""
        self.box = Box(self.workspace, name, image)
        self.addCleanup(self.box.stop)
        self.box.set({"site": site})
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


if __name__ == "__main__":
    unittest.main()

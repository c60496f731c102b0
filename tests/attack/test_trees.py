"""Trees of files that release engineers signed, and that want to be elsewhere."""
import json
import os
import unittest

from fleet.key import canonical
from grove import Grove, listing


class Trees(Grove):
    """What a list of files may not say: refused before anything is in its place."""

    def refuse(self, why, *trees, kind="malformed|limit"):
        """All are refused from a stick; the last one over HTTPS, too."""
        for data in trees[:-1]:
            self.refuse_from_stick(data, why, other_side=False)
        self.assert_harmless(trees[-1], why, kind, other_side=False)

    def files_at(self, *paths):
        return [self.tree(self.entry(path, "file")) for path in paths]

    def test_absolute_paths_are_refused(self):
        self.refuse("a path that is absolute or has an empty part",
                    *self.files_at("", "//evil", "etc//evil", "etc/", "/etc/evil"))

    def test_climbing_paths_are_refused(self):
        self.refuse("a path with . or .. in it",
                    *self.files_at(".", "..", "etc/./evil", "etc/../../evil", "../precious"))

    def test_a_way_out_through_a_symbolic_link_is_refused(self):
        """The list's own link, and a file that lies behind it."""
        outside = self.box.path("trees")
        self.refuse("its folder is no folder of this list", self.tree(
            self.entry("out", "symlink", target=outside), self.entry("out/precious", "file")))

    def test_a_symbolic_link_left_by_another_attempt_is_not_followed(self):
        """The folder of an attempt that was cut off holds links to elsewhere."""
        new = self.box.path("trees", "1", "app.new")
        os.mkdir(new)
        os.symlink(self.box.path("trees"), os.path.join(new, "etc"))
        os.symlink(self.box.path("trees", "precious"), os.path.join(new, "run"))
        os.link(self.box.path("trees", "precious"), os.path.join(new, "start"))
        before = {path: what for path, what in listing(self.box.path("trees"), (new,)).items()}
        self.assert_installs()
        after = listing(self.box.path("trees"), (self.box.path("trees", "1", "app"),))
        for path in ("precious", "1/precious"):
            self.assertEqual(after[path][-1], before[path][-1])
        self.assertNotIn("conf", os.listdir(self.box.path("trees")))

    def test_a_symbolic_link_to_elsewhere_is_a_link_and_no_more(self):
        """A root file system is full of them; what they point to is not touched."""
        self.forger.roll_out(self.tree(
            self.entry("out", "symlink", mode=0o777, target=self.box.path("trees", "precious"))))
        self.start_agent()
        self.wait_for_report(lambda r: r["outcome"] == "ok" and "-9.0.0" in r["bundle"],
                             "it is installed")
        self.end_agent()
        self.assertEqual(os.readlink(self.box.path("trees", "now", "out")),
                         self.box.path("trees", "precious"))
        now = listing(self.box.path("trees"))
        for path in ("precious", "1/precious"):
            self.assertEqual(now[path], self.trees[path])

    def test_hard_links_to_outside_are_refused(self):
        self.refuse("absolute|[.]{2} in it|a hard link to what is no file before it", *(
            self.tree(self.entry("zz", "hardlink", target=target))
            for target in ("/etc/passwd", "../precious", "etc", "start", "nothing", "", "zz",
                           "zzz", "../1/precious")))

    def test_a_hard_link_to_what_comes_later_is_refused(self):
        self.refuse("a hard link to what is no file before it",
                    self.tree(self.entry("aa", "hardlink", target="run")))

    def test_devices_sockets_and_pipes_are_refused(self):
        self.refuse("'type' is not dir, file, symlink or hardlink", *(
            self.tree(self.entry("zz", kind)) for kind in
            ("char", "block", "fifo", "socket", "", "DIR", "device")))

    def test_modes_beyond_permissions_are_refused(self):
        self.refuse("mode", *(
            self.tree(self.entry("zz", "file", mode=mode))
            for mode in (0o10000, 0o100644, 0o60666, 2 ** 32 + 0o644, -1)))

    def test_set_user_id_bits_are_as_signed(self):
        """sudo needs them; what carries them is in the list that release engineers signed."""
        self.forger.roll_out(self.tree(self.entry("zz", "file", mode=0o4711)))
        self.start_agent()
        self.wait_for_report(lambda r: r["outcome"] == "ok" and "-9.0.0" in r["bundle"],
                             "it is installed")
        self.end_agent()
        info = os.lstat(self.box.path("trees", "now", "zz"))
        self.assertEqual((info.st_mode, info.st_uid), (0o104711, os.getuid()))

    def test_owners_that_mean_nobody_are_refused(self):
        self.refuse("no user or group|not between", *(
            self.tree(self.entry("zz", "file", **{who: number}))
            for who in ("uid", "gid") for number in (2 ** 32, -1, 2 ** 32 - 1)))

    def test_names_with_control_characters_are_refused(self):
        paths = ["a\nb", "a\tb", "a\x7fb", "a\x1b[2Jb", "\n"]
        trees = [self.tree(raw=self.text(path, json.dumps)) for path in paths] + \
            self.files_at(*paths[1:4])
        self.refuse("control character|not canonical|JSON|byte [0-9]+", *trees)

    def text(self, path, write=canonical):
        lines = self.lines() + [self.entry(path, "file")]
        lines.sort(key=lambda line: line["path"].encode().replace(b"/", b"\0"))
        return "".join(write(line) + "\n" for line in lines).encode()

    def test_names_with_nul_in_them_are_refused(self):
        raw = self.text("zz").replace(b'"zz"', b'"zz\\u0000/../../evil"')
        self.refuse("line|byte|NUL", self.tree(raw=raw.replace(b"\\u0000", b"\0")),
                    self.tree(raw=raw))

    def test_names_that_are_no_text_are_refused(self):
        raw = self.text("zz")
        self.refuse("byte [0-9]+|UTF-8", *(
            self.tree(raw=raw.replace(b'"zz"', b'"' + name + b'"'))
            for name in (b"\xff\xfe", b"\xc0\xae\xc0\xae", b"\xed\xa0\x80", b"\xc3")))

    def test_names_longer_than_a_file_system_takes_are_refused(self):
        self.refuse("longer than", *self.files_at(
            "z" * 4096, "/".join(["z" * 200] * 6), "z" * 256))

    def test_names_as_long_as_a_file_system_takes_are_installed(self):
        self.forger.roll_out(self.tree(self.entry("z" * 255, "file")))
        self.start_agent()
        self.wait_for_report(lambda r: r["outcome"] == "ok" and "-9.0.0" in r["bundle"],
                             "it is installed")
        self.assertTrue(os.path.exists(self.box.path("trees", "now", "z" * 255)))

    def test_a_deep_tree_is_installed_and_one_too_deep_refused(self):
        """500 folders in each other are a path of 1000 bytes; 600 are past the limit."""
        def deep(count):
            return [self.entry("/".join(["z"] * n)) for n in range(1, count + 1)]

        self.refuse_from_stick(self.tree(*deep(600)), "'path' is longer than 1024",
                               other_side=False)
        self.forger.roll_out(self.tree(*deep(500)))
        self.start_agent()
        self.wait_for_report(lambda r: r["outcome"] == "ok" and "-9.0.0" in r["bundle"],
                             "it is installed")
        self.end_agent()
        self.assertTrue(os.path.isdir(self.box.path("trees", "now", *["z"] * 500)))
        self.assert_mends()

    def test_paths_twice_or_out_of_order_are_refused(self):
        lines = [canonical(line) + "\n" for line in self.lines()]
        self.refuse("twice, or not in order|no folder of this list",
                    self.tree(raw="".join(reversed(lines)).encode()),
                    self.tree(raw="".join(lines + lines[-1:]).encode()))

    def test_a_file_in_a_folder_that_is_none_is_refused(self):
        self.refuse("its folder is no folder of this list",
                    *self.files_at("nowhere/zz", "start/zz", "run/zz"))

    def test_sizes_that_are_not_the_payloads_are_refused(self):
        """Sizes past 31, 32, 40 and 63 bits, and ones that are a byte off."""
        trees = []
        for size in (2 ** 31, 2 ** 32, 2 ** 40, 2 ** 40 + 1, 2 ** 63 - 1, 2 ** 63, -1, 1):
            trees.append(self.tree(self.entry("zz", "file", size=size)))
        lines = self.lines()
        run = next(line for line in lines if line["path"] == "run")
        run["size"] -= 1
        trees.append(self.tree(*lines, honest=False))
        self.refuse("more bytes than the payload has|the payload|integer|not between", *trees)

    def test_a_list_that_is_not_canonical_is_refused(self):
        good = self.text("zz")
        self.refuse("not canonical|no end|line [0-9]+|byte [0-9]+", *map(
            lambda raw: self.tree(raw=raw),
            (good.replace(b",", b", ", 1), good[:-1], good + b"\n", b"\n" + good,
             good.replace(b'"type":"dir"', b'"type":"dir","exec":true'),
             good.replace(b'{"gid"', b'{"gid":0,"gid"', 1), good + b"{}\n", good + b"null\n",
             good.replace(b'"type":"file"', b'"target":"x","type":"file"'))))

    def test_extended_attributes_that_cannot_be_are_refused(self):
        self.refuse("xattrs|extended attribute|hexadecimal|not canonical", *(
            self.tree(self.entry("zz", "file", xattrs=xattrs))
            for xattrs in ([], "", {"": "00"}, {"user.a": "0"}, {"user.a": "ZZ"},
                           {"user.a": 1}, {"user." + "a" * 300: "00"}, {})))

    def test_a_list_that_the_manifest_does_not_vouch_for_is_refused(self):
        bundle = self.new_bundle()
        bundle.parts["app.files"] = bundle.parts["app.files"].replace(b'"run"', b'"rum"')
        bundle.signed["version"] = "9.0.0"
        self.assert_harmless(bundle.seal(self.release_key).tar(),
                             "app.files is not what the manifest says", "untrusted")

    def test_a_tree_for_a_slot_that_is_no_folder_is_refused(self):
        bundle = self.new_bundle()
        bundle.signed["version"] = "9.0.0"
        bundle.payload["slot"] = "rootfs"
        self.assert_harmless(bundle.seal(self.release_key).tar(),
                             "payload app is a tree, and slot rootfs is no folder", "refused")

    def test_a_file_that_is_not_its_own_digest_is_not_put_in_place(self):
        """Its chunks are what the index says; the list says otherwise."""
        lines = self.lines()
        next(line for line in lines if line["path"] == "run")["sha256"] = "ab" * 32
        self.refuse("contradicts itself.* run: its content differs",
                    self.tree(*lines, honest=False))

    def test_two_files_in_each_others_place_are_not_put_in_place(self):
        """The bytes of one in the other: each chunk is right where it is, and the list is not."""
        lines = self.lines()
        conf, run = (next(line for line in lines if line["path"] == path)
                     for path in ("etc/conf", "run"))
        conf["sha256"], run["sha256"] = run["sha256"], conf["sha256"]
        self.refuse("contradicts itself.*content differs", self.tree(*lines, honest=False))


if __name__ == "__main__":
    unittest.main()

"""Bundles that release engineers signed, whose manifests say what none may say."""
import json
import unittest

from forge import header
from siege import Siege

LAST = 2 ** 63 - 1


class Manifests(Siege):
    """What a manifest may not say, validly signed, from a stick and over HTTPS."""

    def signed(self, bundle):
        return bundle.seal(self.release_key).tar()

    def changed(self, **changes):
        bundle = self.new_bundle()
        bundle.signed.update(changes)
        return self.signed(bundle)

    def payload_with(self, **changes):
        bundle = self.new_bundle()
        bundle.payload.update(changes)
        return bundle.seal(self.release_key).tar_as_was()

    def refuse_each(self, why, *bundles):
        """All are refused from a stick; the last one over HTTPS, too."""
        for data in bundles[:-1]:
            self.refuse_from_stick(data, why)
        self.assert_harmless(bundles[-1], why, "malformed|limit")

    def test_an_unknown_word_in_requires_is_refused(self):
        self.assert_harmless(self.changed(requires=["teleport"]),
                             "it requires 'teleport', which this program cannot do", "malformed")

    def test_an_unknown_format_is_refused(self):
        self.refuse_each("format|number", *(self.changed(format=n) for n in (0, -1, "1", 1.0, None,
                                                                      2 ** 32 + 1, 2)))

    def test_unknown_words_in_a_manifest_are_refused(self):
        bundles = [self.new_bundle() for _ in range(3)]
        bundles[0].payload["script"] = "/bin/sh"
        bundles[1].member("rootfs.data")["offset"] = 0
        bundles[2].signed["hooks"] = []
        self.refuse_each("script|offset|hooks", *map(self.signed, bundles))

    def test_a_manifest_without_one_of_its_words_is_refused(self):
        bundles = []
        for word in sorted(self.new_bundle().signed):
            bundle = self.new_bundle()
            del bundle.signed[word]
            bundles.append(bundle.seal(self.release_key).tar_as_was())
        self.refuse_each("manifest: .*'[a-z_]+'", *bundles)

    def test_names_used_as_paths_are_refused(self):
        names = ("../rootfs", "/etc/passwd", "a/b", "", "n\0", "n\n", "rootfs ", "ö", "n" * 65)
        self.refuse_each("no plain name|longer|NUL|control|'name'|no member",
                         *(self.payload_with(name=n) for n in names),
                         *(self.changed(name=n) for n in names))

    def test_dots_are_no_names(self):
        self.refuse_each("no plain name|no member", *(self.changed(name=n) for n in (".", "..")))

    def test_slots_used_as_paths_are_refused(self):
        self.refuse_each("no plain name|longer|'slot'", *(
            self.payload_with(slot=n)
            for n in ("../boot", "/dev/sda", "a/b", "", "..", "rootfs/../rootfs")))

    def test_a_slot_class_that_the_box_lacks_is_refused(self):
        self.assert_harmless(self.payload_with(slot="bootloader"),
                             "for slot bootloader, and this box has none", "refused")

    def test_a_kind_that_the_slot_is_not_is_refused(self):
        bundle = self.new_bundle()
        lines = b""
        bundle.drop("rootfs.hints")
        bundle.uncut()
        bundle.parts["rootfs.files"] = lines
        bundle.payload.update(kind="tree")
        bundle.payload["members"].insert(1, {"name": "rootfs.files"})
        bundle.put("rootfs.files", lines)
        self.assert_harmless(self.signed(bundle), "is a tree, and slot rootfs is no folder",
                             "refused")

    def test_members_of_other_names_are_refused(self):
        bundles = []
        for name in ("rootfs.evil", "../../etc/passwd", "/etc/passwd", "other.index", "rootfs.",
                     "rootfs", "", "rootfs.index\0.data"):
            bundle = self.new_bundle()
            bundle.payload["members"][0]["name"] = name
            bundles.append(bundle.seal(self.release_key).tar_as_was())
        self.refuse_each("is no member of this payload|'name'|NUL", *bundles)

    def test_members_missing_doubled_or_out_of_order_are_refused(self):
        bundles = []
        for pick in ([0], [4], [2, 0, 4], [0, 0, 4], [0, 4, 4], [0, 4, 2], [0, 3, 1, 4],
                     [0, 2, 1, 3, 4], []):
            bundle = self.new_bundle()
            members = bundle.payload["members"]
            bundle.payload["members"] = [members[i] for i in pick]
            bundles.append(bundle.seal(self.release_key).tar_as_was())
        self.refuse_each("is missing|twice, or not in order", *bundles)

    def test_two_payloads_for_one_name_or_slot_are_refused(self):
        bundles = []
        for other in ({}, {"name": "other"}, {"slot": "other"}):
            bundle = self.new_bundle()
            twin = json.loads(json.dumps(bundle.payload))
            twin.update(other)
            for member in twin["members"]:
                member["name"] = member["name"].replace("rootfs", twin["name"])
            bundle.signed["payloads"].append(twin)
            bundles.append(bundle.seal(self.release_key).tar_as_was())
        self.refuse_each("two payloads are", *bundles)

    def test_no_payload_at_all_is_refused(self):
        bundle = self.new_bundle()
        bundle.signed["payloads"] = []
        self.assert_harmless(self.signed(bundle), "'payloads' is empty", "malformed")

    def test_a_bundle_for_no_box_is_refused(self):
        self.assert_harmless(self.changed(compatible=[]), "'compatible' is empty", "malformed")

    def test_an_empty_digest_is_no_digest(self):
        """Where it says that a member is nothing in particular, nothing is taken for it."""
        bundles = []
        for digest in ("00", "ab" * 33, None, "zz" * 32, ""):
            for place in ("payload", "rootfs.index", "rootfs.data"):
                bundle = self.new_bundle()
                at = bundle.payload if place == "payload" else bundle.member(place)
                at["sha256"] = digest
                bundles.append(self.signed(bundle))
        self.refuse_each("sha256|SHA-256|digest|hex", *bundles)

    def test_a_digest_of_zeros_is_compared_like_any_other(self):
        bundle = self.new_bundle()
        bundle.member("rootfs.index")["sha256"] = "00" * 32
        self.assert_harmless(self.signed(bundle), "rootfs.index is not what the manifest says",
                             "untrusted")

    def test_sizes_at_the_edges_of_32_and_64_bits_are_refused(self):
        """None wraps into what is really there."""
        size = self.SIZE
        sizes = (2 ** 31, 2 ** 32, 2 ** 32 + size, 2 ** 40, 2 ** 40 + 1, LAST, 2 ** 63,
                 2 ** 64 + size, -1, -size, 0, 1e6, str(size))
        self.refuse_each("size|bytes|more data|integer|number|hints that are not",
                         *(self.payload_with(size=n) for n in sizes))

    def test_member_sizes_at_the_edges_of_32_and_64_bits_are_refused(self):
        bundles = []
        for name in self.new_bundle().names:
            real = self.new_bundle().member(name)["size"]
            for size in (2 ** 31, 2 ** 32 + real, 2 ** 40 + 1, LAST, 2 ** 63, -1, 0):
                bundle = self.new_bundle()
                bundle.member(name)["size"] = size
                bundles.append(self.signed(bundle))
        self.refuse_each("size|more data|integer|number|stands where|bytes|hints that|"
                         "cuts that|pages of stored", *bundles)

    def test_a_payload_larger_than_its_slot_is_refused(self):
        """By 4 GiB to the byte, which 32 bits would not see."""
        bundle = self.new_bundle()
        bundle.drop("rootfs.hints")
        index = bundle.index()
        index.entries.append([bytes(32), bytes(32), 2 ** 16, 0])
        index.plain += 2 ** 32
        bundle.payload["size"] = index.plain
        bundle.uncut()
        bundle.put_index(index)
        self.assert_harmless(self.signed(bundle), f"and the payload needs {2 ** 32 + self.SIZE}",
                             "refused")

    def with_text(self, change):
        """The manifest's very text changed behind its signature's back, where JSON allows it."""
        bundle = self.new_bundle()
        bundle.signed["version"] = "9.0.0"
        pieces = bundle.seal(self.release_key).pieces()
        text = change(pieces[0][1])
        pieces[0] = [header("manifest.json", len(text)), text]
        return self.new_bundle().tar(pieces)

    def test_a_manifest_that_says_a_thing_twice_is_refused(self):
        for text in (b'{"signed": {"format": 1, ', b'{"signed": {}, "signed": {'):
            data = self.with_text(lambda old, new=text: old.replace(b'"signed": {', new[1:], 1))
            self.refuse_from_stick(data, "duplicate")
        self.refuse_over_https(data, "duplicate", "malformed")
        self.assert_mends()

    def test_a_manifest_that_is_no_json_is_refused(self):
        deep = b'{"signed": ' + b'[' * 100000 + b']' * 100000 + b', "signatures": []}'
        for text in (b"", b"\xff\xfe", b"{", b"null", b"[]", b'{"signed": "\xc3"}', deep):
            self.refuse_from_stick(self.with_text(lambda _, new=text: new),
                                   "manifest|JSON|byte [0-9]+|an object with 'signed'")
        self.refuse_over_https(self.with_text(lambda old: old + b"}"), "byte [0-9]+", "malformed")
        self.assert_mends()

    def test_a_manifest_larger_than_any_is_refused(self):
        data = self.with_text(lambda old: old.ljust(2 ** 18 + 1))
        self.assert_harmless(data, "manifest.json of 262145 bytes", "limit")


if __name__ == "__main__":
    unittest.main()

"""Bundles that release engineers signed, and that are not what a bundle is: manifests and tars."""
import json
import unittest

from forge import BLOCK, header, padded, sealed, summed
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
        for pick in ([0], [2], [1, 0, 2], [0, 0, 2], [0, 2, 2], [0, 2, 1], []):
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
        for name in ("rootfs.index", "rootfs.hints", "rootfs.data"):
            real = self.new_bundle().member(name)["size"]
            for size in (2 ** 31, 2 ** 32 + real, 2 ** 40 + 1, LAST, 2 ** 63, -1, 0):
                bundle = self.new_bundle()
                bundle.member(name)["size"] = size
                bundles.append(self.signed(bundle))
        self.refuse_each("size|more data|integer|number|stands where|bytes|hints that",
                         *bundles)

    def test_a_payload_larger_than_its_slot_is_refused(self):
        """By 4 GiB to the byte, which 32 bits would not see."""
        bundle = self.new_bundle()
        bundle.drop("rootfs.hints")
        index = bundle.index()
        index.entries.append([bytes(32), bytes(32), 2 ** 16, 0])
        index.plain += 2 ** 32
        bundle.payload["size"] = index.plain
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


class Tars(Siege):
    """Signed manifests in archives that hold something else than they say."""

    def setUp(self):
        super().setUp()
        bundle = self.new_bundle()
        bundle.signed["version"] = "9.0.0"
        self.pieces = bundle.seal(self.release_key).pieces()

    def tar(self, *extra, at=1, **how):
        """The bundle with these pieces put in."""
        self.pieces[at:at] = [[h, data] for h, data in extra]
        return self.new_bundle().tar(self.pieces, **how)

    def refuse(self, why, *extra, at=1, **how):
        """In the head it is refused over HTTPS as well as from a stick."""
        self.assert_harmless(self.tar(*extra, at=at, **how), why, "malformed")

    def test_an_unlisted_member_in_the_head_is_refused(self):
        self.refuse("member 'evil' stands where rootfs.index", (header("evil", 9), b"#!/bin/sh"))

    def test_an_unlisted_member_at_the_end_is_refused(self):
        data = self.tar((header("evil", 9), b"#!/bin/sh"), at=len(self.pieces))
        self.refuse_from_stick(data, "behind the last member are not zeros|behind its end")
        self.refuse_over_https(data, "its manifest makes .* and it is listed with", "malformed")
        self.assert_mends()

    def test_an_unlisted_member_among_the_data_is_refused(self):
        data = self.tar((header("evil", 9), b"#!/bin/sh"), at=3)
        self.refuse_from_stick(data, "member 'evil' stands where rootfs.data")
        self.refuse_over_https(data, "its manifest makes .* and it is listed with", "malformed")
        self.assert_mends()

    def test_a_missing_member_is_refused(self):
        del self.pieces[1]
        self.refuse_from_stick(self.tar(), "member 'rootfs.hints' stands where rootfs.index")
        self.refuse_over_https(self.tar(), "rootfs.index", "malformed")
        self.assert_mends()

    def test_members_out_of_order_are_refused(self):
        self.pieces[1:3] = [self.pieces[2], self.pieces[1]]
        self.refuse_from_stick(self.tar(), "member 'rootfs.hints' stands where rootfs.index")
        self.refuse_over_https(self.tar(), "rootfs.index", "malformed")
        self.assert_mends()

    def test_a_doubled_member_is_refused(self):
        self.refuse("member 'rootfs.index' stands where rootfs.hints|bytes behind the head",
                    tuple(self.pieces[1]))

    def test_a_doubled_manifest_is_refused(self):
        self.refuse("member 'manifest.json' stands where rootfs.index", tuple(self.pieces[0]))

    def renamed(self, name):
        size = len(self.pieces[1][1])
        self.pieces[1][0] = header(name, size)
        return self.tar()

    def test_absolute_and_climbing_names_are_refused(self):
        for name in ("/rootfs.index", "./rootfs.index", "../rootfs.index", "x/../rootfs.index",
                     "rootfs.index/", "ROOTFS.INDEX", b"rootfs.index\0/../evil", ""):
            self.refuse_from_stick(self.renamed(name), "rootfs.index")
        self.refuse_over_https(self.renamed("../../rootfs.index"),
                               "member '../../rootfs.index' stands where", "malformed")
        self.assert_mends()

    def typed(self, kind, link=b""):
        size = len(self.pieces[1][1])
        self.pieces[1][0] = header("rootfs.index", size, kind, link)
        return self.tar()

    def test_a_symbolic_link_in_place_of_a_member_is_refused(self):
        self.assert_harmless(self.typed(b"2", b"/etc/shadow"),
                             "rootfs.index has another type, size, owner", "malformed")

    def test_a_hard_link_in_place_of_a_member_is_refused(self):
        self.assert_harmless(self.typed(b"1", b"manifest.json"),
                             "rootfs.index has another type, size, owner", "malformed")

    def test_devices_folders_and_pipes_in_place_of_a_member_are_refused(self):
        for kind in (b"3", b"4", b"5", b"6", b"7", b"D", b"M", b"V", b"\0", b"X"):
            self.refuse_from_stick(self.typed(kind), "rootfs.index has another type")
        self.refuse_over_https(self.typed(b"3"), "rootfs.index has another type", "malformed")
        self.assert_mends()

    def pax(self, kind, *records):
        body = b"".join(b"%d %s\n" % (len(r) + len(str(len(r) + 4)) + 2, r) for r in records)
        return header("PaxHeaders/rootfs.index", len(body), kind), body

    def test_a_pax_header_that_changes_size_or_name_is_refused(self):
        for record in (b"size=1", b"path=../../evil", b"linkpath=/etc/shadow",
                       b"GNU.sparse.realsize=1099511627776"):
            pieces = list(self.pieces)
            self.refuse_from_stick(self.tar(self.pax(b"x", record)),
                                   "member 'PaxHeaders/rootfs.index' stands where rootfs.index")
            self.pieces = pieces
        self.refuse("member 'PaxHeaders/rootfs.index' stands where rootfs.index",
                    self.pax(b"x", b"size=1"))

    def test_a_global_pax_header_is_refused(self):
        self.refuse("member 'PaxHeaders/rootfs.index' stands where rootfs.index",
                    self.pax(b"g", b"path=evil"))

    def test_a_pax_header_before_the_manifest_is_refused(self):
        data = self.tar(self.pax(b"x", b"path=evil"), at=0)
        self.refuse_from_stick(data, "is no bundle: it does not begin with manifest.json")
        self.assert_recovers()

    def test_a_gnu_long_name_is_refused(self):
        self.refuse("member '././@LongLink' stands where rootfs.index",
                    (header("././@LongLink", 8, b"L"), b"../evil\0"))

    def test_a_sparse_member_is_refused(self):
        self.assert_harmless(self.typed(b"S"), "rootfs.index has another type", "malformed")

    def sized(self, raw):
        self.pieces[1][0] = header("rootfs.index", 0, raw_size=raw)
        return self.tar()

    def test_a_size_in_base_256_that_octal_digits_could_say_is_refused(self):
        size = len(self.pieces[1][1])
        for raw in (b"\xff" * 12, b"\x80" + (2 ** 63).to_bytes(11, "big"),
                    b"\x80" + (2 ** 32 + size).to_bytes(11, "big"), b"%12o" % size,
                    b"0%011o" % size):
            self.refuse_from_stick(self.sized(raw), "rootfs.index has another type, size")
        data = self.sized(b"\x80" + size.to_bytes(11, "big"))
        self.assert_harmless(data, "rootfs.index has another type, size", "malformed")

    def test_a_size_that_the_manifest_does_not_say_is_refused(self):
        self.assert_harmless(self.sized(b"%011o\0" % (len(self.pieces[1][1]) + BLOCK)),
                             "rootfs.index has another type, size", "malformed")

    def test_headers_with_anything_else_in_them_are_refused(self):
        """Owner, mode, time, magic, prefix, checksum: there is one header for each member."""
        for at, text in ((100, b"0004755"), (108, b"0001750"), (136, b"77777777777"),
                         (257, b"ustar\00000"), (265, b"root"), (345, b"../../"), (148, b"7"),
                         (500, b"x")):
            piece = bytearray(self.pieces[1][0])
            piece[at:at + len(text)] = text
            pieces = list(self.pieces)
            pieces[1] = [piece if at == 148 else summed(piece), self.pieces[1][1]]
            data = self.new_bundle().tar(pieces)
            self.refuse_from_stick(data, "rootfs.index has another type, size, owner, mode")
        self.refuse_over_https(data, "rootfs.index has another type", "malformed")
        self.assert_mends()

    def refuse_end(self, why, tail):
        """What stands behind the last member: never fetched, and refused all the same."""
        data = self.tar(tail=tail)
        self.refuse_from_stick(data, why)
        self.refuse_over_https(data, "its manifest makes .* bytes of it, and it is listed with",
                               "malformed")
        self.assert_mends()

    def test_garbage_behind_the_end_is_refused(self):
        self.refuse_end("4 bytes stand behind its end", bytes(2 * BLOCK) + b"evil")

    def test_a_second_end_is_refused(self):
        self.refuse_end("1024 bytes stand behind its end", bytes(4 * BLOCK))

    def test_members_behind_the_end_are_refused(self):
        self.refuse_end("behind its end", bytes(2 * BLOCK) + bytes(header("evil", 4)) +
                        padded(b"evil") + bytes(2 * BLOCK))

    def test_a_bundle_without_its_end_is_refused(self):
        self.refuse_end("cut|ends", b"")

    def test_an_end_in_the_middle_is_refused(self):
        self.refuse("the members end where rootfs.index was expected",
                    (bytes(BLOCK), bytes(BLOCK)))

    def test_bytes_hidden_in_padding_are_refused(self):
        self.assertTrue(len(self.pieces[1][1]) % BLOCK)
        data = bytearray(self.tar())
        data[len(self.pieces[0][0] + padded(self.pieces[0][1])) + BLOCK +
             len(self.pieces[1][1])] = 1
        self.assert_harmless(bytes(data), "the bytes behind rootfs.index are not zeros",
                             "malformed")

    def test_what_is_no_tar_at_all_is_refused(self):
        for data in (b"", b"x", bytes(4096), b"PK\3\4" * 300, b"\x1f\x8b\x08" * 300):
            self.refuse_from_stick(data, "no bundle|ends|cut")
        self.assert_recovers()


if __name__ == "__main__":
    unittest.main()

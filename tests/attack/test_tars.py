"""Bundles that release engineers signed, in archives that hold something else than they say."""
import unittest

from forge import BLOCK, header, padded, summed
from siege import Siege


class Tars(Siege):
    """From a stick all of it is read; over HTTPS the head is, and the length that is listed."""

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
        data = self.tar((header("evil", 9), b"#!/bin/sh"), at=len(self.pieces) - 1)
        self.refuse_from_stick(data, "member 'evil' stands where rootfs.data")
        self.refuse_over_https(data, "its manifest makes .* and it is listed with", "malformed")
        self.assert_mends()

    def test_a_missing_member_is_refused(self):
        del self.pieces[1]
        self.refuse_from_stick(self.tar(), "member 'rootfs.seals' stands where rootfs.index")
        self.refuse_over_https(self.tar(), "rootfs.index", "malformed")
        self.assert_mends()

    def test_members_out_of_order_are_refused(self):
        self.pieces[1:3] = [self.pieces[2], self.pieces[1]]
        self.refuse_from_stick(self.tar(), "member 'rootfs.seals' stands where rootfs.index")
        self.refuse_over_https(self.tar(), "rootfs.index", "malformed")
        self.assert_mends()

    def test_a_doubled_member_is_refused(self):
        self.refuse("member 'rootfs.index' stands where rootfs.seals|bytes behind the head",
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

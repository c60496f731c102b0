"""Indexes and chunks that lie, validly signed; what reaches a decompressor or a disk in between."""
import hashlib
import os
import unittest
import zlib

from fleet import run
from forge import BLOCK, cut_record
from siege import NEW, OLD, Siege

CHUNK = 65536


def digest(data):
    return hashlib.sha256(data).digest()


class Indexes(Siege):
    """The index does not describe what a payload can be: nothing is written."""

    def lying(self, change, *more):
        """A bundle whose index each of these has changed."""
        bundle = self.new_bundle()
        index = bundle.index()
        for each in (change, *more):
            each(index)
        bundle.signed["version"] = "9.0.0"
        bundle.uncut()
        bundle.put_index(index)
        return bundle.seal(self.release_key).tar()

    def refuse(self, why, *changes, other_side=True):
        """All are refused from a stick; the last one over HTTPS, too."""
        for change in changes[:-1]:
            self.refuse_from_stick(self.lying(change), why, other_side)
        self.assert_harmless(self.lying(changes[-1]), why, "malformed", other_side)

    def first(self, index, raw):
        """The first entry whose chunk is stored raw, or as a stream, and that the box lacks: as
        what the others are stored it does not look up."""
        known = {entry[0] for entry in self.new_bundle(OLD).index().entries}
        return next(e for e in index.entries
                    if e[3] and (e[2] == e[3]) == raw and e[0] not in known)

    def test_an_index_of_another_kind_is_refused(self):
        self.refuse("rootfs.index", lambda i: setattr(i, "version", 1),
                    lambda i: setattr(i, "chunk", 2 ** 31), lambda i: setattr(i, "chunk", 0),
                    lambda i: setattr(i, "magic", b"SLUICEIY"))

    def test_a_count_that_its_bytes_do_not_hold_is_refused(self):
        """Declared counts are compared before anything is allocated for them."""
        self.refuse("entries do not fill its", *(
            lambda i, n=n: setattr(i, "count", n)
            for n in (0, 1, 2 ** 32 + 11, 2 ** 60, 2 ** 63, 2 ** 64 - 1)))

    def test_a_plain_size_other_than_the_manifests_is_refused(self):
        self.refuse("rootfs.index", *(
            lambda i, n=n: setattr(i, "plain", n)
            for n in (0, 1, 2 ** 32 + self.SIZE, 2 ** 63, 2 ** 64 - 1)))

    def test_chunks_that_are_less_than_the_payload_are_refused(self):
        self.refuse("its chunks are not the whole payload|short chunk in the middle",
                    lambda i: i.entries.pop())

    def test_chunks_that_are_more_than_the_payload_are_refused(self):
        self.refuse("bytes past the payload's end|stored bytes past the end",
                    lambda i: i.entries.append(i.entries[-1]),
                    lambda i: i.entries.append([bytes(32), bytes(32), 1, 0]))

    def test_a_run_of_zeros_that_goes_past_the_payload_is_refused(self):
        """2 147 483 647 chunks are 128 TiB; times 65536 they are few where 32 bits count."""
        def longer(index):
            run_of = next(e for e in index.entries if e[3] == 0)
            run_of[2] = 2 ** 31 - 1

        self.refuse("bytes past the payload's end", longer)

    def test_a_run_of_zeros_with_a_digest_is_refused(self):
        def with_digest(index):
            next(e for e in index.entries if e[3] == 0)[0] = digest(bytes(CHUNK))

        self.refuse("a run of zeros with a digest", with_digest)

    def test_a_chunk_that_overlaps_the_next_ones_bytes_is_refused(self):
        """Stored bytes stand back to back; one that takes more leaves too few for the last."""
        self.refuse("stored bytes past the end of the data",
                    lambda i: self.first(i, False).__setitem__(3, CHUNK - 1))

    def test_a_page_of_chunks_past_the_end_of_the_data_is_refused(self):
        """Sealed and signed, and nothing is there, however large the numbers."""
        self.refuse("stored bytes past the end of the data", *(
            lambda i, n=n: i.offsets.update({0: n})
            for n in (2 ** 64 - 1, 2 ** 63, 2 ** 40, 2 ** 32 + 1, 1)))

    def test_a_chunk_larger_than_any_is_refused(self):
        self.refuse("a chunk of .* bytes", *(
            lambda i, n=n: self.first(i, False).__setitem__(2, n)
            for n in (CHUNK + 1, 2 ** 30, 2 ** 31 - 1)))

    def test_a_chunk_with_more_stored_than_plain_bytes_is_refused(self):
        self.refuse("plain bytes in .* stored ones|stored bytes past the end of the data", *(
            lambda i, n=n: self.first(i, True).__setitem__(3, n)
            for n in (2 ** 32 - 1, 2 ** 31, CHUNK + 1)))

    def test_a_chunk_of_no_bytes_is_refused(self):
        self.refuse("stands for no bytes", lambda i: self.first(i, False).__setitem__(2, 0))

    def test_a_short_chunk_in_the_middle_is_refused(self):
        self.refuse("a short chunk in the middle",
                    lambda i: i.entries[0].__setitem__(2, CHUNK - 1))

    def test_a_chunk_without_a_digest_is_refused(self):
        self.refuse("a chunk without a digest",
                    lambda i: self.first(i, False).__setitem__(0, bytes(32)),
                    lambda i: self.first(i, False).__setitem__(1, bytes(32)))

    def test_a_raw_chunk_with_two_digests_is_refused(self):
        self.refuse("a raw chunk with two digests",
                    lambda i: self.first(i, True).__setitem__(0, digest(b"")))

    def test_an_index_that_the_manifest_does_not_vouch_for_is_refused(self):
        """Signed with the release key, but for one bit of the index."""
        bundle = self.new_bundle()
        bundle.signed["version"] = "9.0.0"
        index = bytearray(bundle.parts["rootfs.index"])
        index[40] ^= 1
        bundle.parts["rootfs.index"] = bytes(index)
        self.assert_harmless(bundle.seal(self.release_key).tar(),
                             "rootfs.index is not what the manifest says", "untrusted")


class Chunks(Siege):
    """Stored bytes that are not what the index says, or plain ones that are not: what was written
    of the other side before stays unbootable, and the running side as it is."""

    def with_chunk(self, stored, stored_digest=None, plain_digest=None):
        """The first stream of a chunk that the box lacks becomes that, and its digest is right."""
        bundle = self.new_bundle()
        bundle.signed["version"] = "9.0.0"
        index, data, at = bundle.index(), bundle.parts["rootfs.data"], 0
        known = {entry[0] for entry in self.new_bundle(OLD).index().entries}
        for entry in index.entries:
            if 0 < entry[3] < entry[2] and entry[0] not in known:
                break
            at += entry[3]
        old = entry[3]
        plain = zlib.decompress(data[at:at + old])
        if callable(stored):
            stored = stored(plain)
        entry[1] = stored_digest or digest(stored)
        entry[0] = plain_digest or entry[0]
        entry[3] = len(stored)
        bundle.put("rootfs.data", data[:at] + stored + data[at + old:])
        bundle.uncut()
        bundle.put_index(index)
        return bundle.seal(self.release_key).tar()

    def refuse(self, why, kind, stored, **digests):
        self.assert_harmless(self.with_chunk(stored, **digests), why, kind, other_side=False)

    def test_a_bomb_is_cut_off_at_its_chunk(self):
        """60 KiB that inflate to 60 MiB: nothing past the 64 KiB is ever made."""
        bomb = zlib.compress(bytes(60 << 20), 9)
        self.assertLess(len(bomb), CHUNK)
        self.refuse("a chunk's stream is damaged, or of another size", "malformed", bomb)

    def test_a_stream_that_is_one_byte_too_long_is_refused(self):
        self.refuse("a chunk's stream is damaged, or of another size", "malformed",
                    lambda plain: zlib.compress(plain + b"x"))

    def test_a_stream_that_is_short_is_refused(self):
        self.refuse("a chunk's stream is 1 bytes short", "malformed",
                    lambda plain: zlib.compress(plain[:-1]))

    def test_bytes_behind_a_stream_are_refused(self):
        self.refuse("4 bytes stand behind a chunk's stream", "malformed",
                    lambda plain: zlib.compress(plain) + b"evil")

    def test_a_stream_that_asks_for_a_dictionary_is_refused(self):
        def with_dictionary(plain):
            deflater = zlib.compressobj(zdict=b"evil" * 9)
            return deflater.compress(plain) + deflater.flush()

        self.refuse("a chunk's stream asks for a dictionary", "malformed", with_dictionary)

    def test_a_stream_of_another_kind_is_refused(self):
        raw = zlib.compressobj(wbits=-15)
        gzip = zlib.compressobj(wbits=31)
        for stored in (b"\0" * 40, raw.compress(bytes(CHUNK)) + raw.flush(), b"\x78\x9c"):
            self.refuse_from_stick(self.with_chunk(stored), "a chunk's stream is damaged",
                                   other_side=False)
        self.refuse("a chunk's stream is damaged", "malformed",
                    gzip.compress(bytes(CHUNK)) + gzip.flush())

    def test_plain_bytes_other_than_their_digest_are_refused(self):
        self.refuse("a chunk's plain bytes are not those of the index", "untrusted",
                    lambda plain: zlib.compress(plain[:-1] + b"x"))

    def test_stored_bytes_other_than_their_digest_reach_no_decompressor(self):
        """A stream that would come out right, but for the digest of its bytes."""
        self.refuse("a chunk's stored bytes are not those of the index", "untrusted",
                    lambda plain: zlib.compress(plain, 1), stored_digest=digest(b"other"))

    def test_data_changed_on_the_server_is_refused(self):
        """Who has only the web server, and the last chunk that the box fetches."""
        path = self.workspace.target_file(f"bundles/gateway-{NEW}.ota")
        with open(path, "r+b") as f:
            f.seek(-2 * CHUNK, os.SEEK_END)
            f.write(bytes(CHUNK))
        self.start_agent()
        report = self.wait_for_report(lambda r: r["outcome"] == "failed", "data is refused")
        self.assertRegex(report["detail"], "a chunk's stored bytes are not those of the index")
        self.assertEqual(report["class"], "untrusted")
        self.assert_untouched(other_side=False)
        self.assert_recovers()

    def with_page_changed(self):
        """The first page of what says as what chunks are stored is another."""
        data = bytearray(self.bytes_of())
        at = data.index(b"rootfs.stored\0") + BLOCK
        data[at + 8 + 48] ^= 1
        return data, at

    def test_a_page_changed_on_the_server_is_refused_before_anything_is_written(self):
        """Who has only the web server: what is not sealed is believed by nobody."""
        data, _ = self.with_page_changed()
        with open(self.workspace.target_file(f"bundles/gateway-{NEW}.ota"), "r+b") as f:
            f.write(data)
        self.start_agent()
        report = self.wait_for_report(lambda r: r["outcome"] == "failed", "a page is refused")
        self.assertRegex(report["detail"], "a page is not the one that was sealed")
        self.assertEqual(report["class"], "untrusted")
        self.assert_untouched()
        self.assert_recovers()

    def test_a_page_changed_on_the_stick_is_refused_before_anything_is_written(self):
        data, _ = self.with_page_changed()
        self.refuse_from_stick(bytes(data), "a page is not the one that was sealed")
        self.assert_recovers()

    def test_pages_of_another_bundle_are_refused_before_anything_is_written(self):
        """Sealed and signed as they should be, for other chunks."""
        data, at = self.with_page_changed()
        other = self.new_bundle(OLD).parts["rootfs.stored"]
        self.assertEqual(len(other), len(self.new_bundle().parts["rootfs.stored"]))
        data[at:at + len(other)] = other
        self.refuse_from_stick(bytes(data), "a page is not the one that was sealed")
        self.assert_recovers()

    def test_data_changed_on_the_stick_is_refused(self):
        data = bytearray(self.bytes_of())
        data[-2 * CHUNK:-CHUNK] = bytes(CHUNK)
        self.refuse_from_stick(bytes(data), "a chunk's stored bytes are not those of the index",
                               other_side=False)
        self.assert_recovers()

    def test_data_that_ends_early_on_the_server_installs_nothing(self):
        path = self.workspace.target_file(f"bundles/gateway-{NEW}.ota")
        with open(path, "r+b") as f:
            f.truncate(os.path.getsize(path) - CHUNK)
        self.start_agent()
        self.wait_for_report(lambda r: r["class"] in ("network", "untrusted"), "it is reported")
        self.assert_untouched(other_side=False)
        self.assert_recovers()

    def test_an_image_that_is_not_its_own_digest_is_not_kept(self):
        """Each chunk is right and the whole is not what the manifest says: it runs once, is not
        confirmed, and its boot is undone."""
        bundle = self.new_bundle()
        bundle.signed["version"] = "9.0.0"
        bundle.payload["sha256"] = hashlib.sha256(b"another").hexdigest()
        with open(os.path.join(self.folder, "stick.ota"), "wb") as f:
            f.write(bundle.seal(self.release_key).tar())
        slots, env, _ = self.rest
        power = [self.box.programs.tool("power"), "--dir", self.box.dir, "--once"]
        self.box.agent("install", f.name, "--no-reboot", "--metadata",
                       self.workspace.path("site", "metadata"))
        run(power)
        self.assertNotEqual(self.box.booted(), env["booted"])
        said = self.box.agent("confirm", check=1).stderr
        self.assertIn("what runs is not what was signed and installed", said)
        self.box.agent("rollback", "--no-reboot")
        run(power)
        self.assertEqual(self.box.booted(), env["booted"])
        self.assertEqual(self.box.slot_digests()[env["booted"]], slots[env["booted"]])
        self.assert_recovers()


class Cuts(Siege):
    """Where stored bytes are cut, and the seals that vouch for that: `sluice verify` takes no
    lie, and what can be seen from the head no box takes."""

    def verify(self, bundle, why):
        """Refused by whoever verifies it before it is released."""
        bundle.signed["version"] = "9.0.0"
        path = os.path.join(self.folder, "lie.ota")
        with open(path, "wb") as f:
            f.write(bundle.seal(self.release_key).tar())
        done = self.workspace.sluice("verify", path, "--metadata",
                                     self.kept("site", "metadata"), check=1)
        self.assertRegex(done.stderr, why)

    def entry_of(self, bundle, raw):
        """The number of the first entry whose chunk is stored raw, or as a stream."""
        return next(i for i, e in enumerate(bundle.index().entries)
                    if e[3] and (e[2] == e[3]) == raw)

    def lying(self, change, raw=False):
        """A bundle in which that is the record of a chunk, sealed."""
        bundle = self.new_bundle()
        cuts, number = bundle.cuts(), self.entry_of(bundle, raw)
        cuts[number] = [bytes(change(bytearray(cuts[number][0]))), None]
        bundle.put_cuts(cuts)
        return bundle

    def test_members_that_the_manifest_does_not_vouch_for_are_refused(self):
        for role in ("cuts", "stored", "seals"):
            bundle = self.new_bundle()
            data = bytearray(bundle.parts[f"rootfs.{role}"])
            data[-1] ^= 1
            bundle.parts[f"rootfs.{role}"] = bytes(data)
            self.verify(bundle, f"rootfs.{role} is not what the manifest says")
        self.assert_harmless(bundle.tar(), "rootfs.seals is not what the manifest says",
                             "untrusted")

    def test_a_payload_without_seals_or_stored_is_refused(self):
        for role in ("seals", "stored"):
            bundle = self.new_bundle()
            bundle.drop(f"rootfs.{role}")
            self.verify(bundle, "its stored or its seals are missing")
        self.refuse_from_stick(bundle.tar(), "its stored or its seals are missing")

    def test_members_that_are_not_those_of_the_index_are_refused(self):
        for role, size, why in (
                ("cuts", 288, "cuts that are not one for each entry of the index"),
                ("stored", 52, "pages of stored, or seals, that are not those of the index"),
                ("seals", 16, "pages of stored, or seals, that are not those of the index")):
            for change in (lambda data, n: data[:-n], lambda data, n: data + data[-n:],
                           lambda data, n: data[:-1], lambda data, n: b""):
                bundle = self.new_bundle()
                bundle.put(f"rootfs.{role}", change(bundle.parts[f"rootfs.{role}"], size))
                self.verify(bundle, why)
        self.refuse_from_stick(bundle.tar(), why)

    def test_swapped_cuts_and_pages_are_refused(self):
        bundle = self.new_bundle()
        cuts, stored = (bundle.parts[f"rootfs.{role}"] for role in ("cuts", "stored"))
        bundle.put("rootfs.cuts", stored)
        bundle.put("rootfs.stored", cuts)
        self.verify(bundle, "pages of stored, or seals, that are not those of the index")
        for swap in ((1, 0), (0, 1)):  # two chunks' records, and two chunks' seals
            bundle = self.new_bundle()
            cuts, number = bundle.cuts(), self.entry_of(bundle, False)
            other = next(i for i, pair in enumerate(cuts)
                         if i != number and any(pair[1]))
            cuts[number] = [cuts[(number, other)[swap[0]]][0], cuts[(number, other)[swap[1]]][1]]
            bundle.put_cuts(cuts)
            self.verify(bundle, "a chunk's cuts are not those that were sealed")

    def test_sealed_cuts_that_are_not_the_chunks_are_refused(self):
        """Every seal and digest above is right, and the record lies."""
        def longer(record):
            record[0] ^= 1
            return record

        def other_digest(record):
            record[18 + 2] ^= 1
            return record

        def nothing(record):
            return bytes(len(record))

        self.verify(self.lying(longer), "a chunk's blocks are [0-9]+ bytes, and it has")
        self.verify(self.lying(longer, raw=True), "a chunk's block 0 has 4097 stored bytes")
        self.verify(self.lying(other_digest), "a block's stored bytes are not those that were")
        self.verify(self.lying(other_digest, raw=True), "a block's stored bytes are not those")
        self.verify(self.lying(nothing), "a chunk's block 0 has 0 stored bytes")

    def test_a_run_of_zeros_with_cuts_is_refused(self):
        bundle = self.new_bundle()
        cuts = bundle.cuts()
        number = next(i for i, e in enumerate(bundle.index().entries) if e[3] == 0)
        cuts[number] = [b"\1" * 288, None]
        bundle.put_cuts(cuts)
        self.verify(bundle, "a run of zeros with stored bytes")
        cuts[number][1] = b""
        bundle.put_cuts(cuts)
        self.verify(bundle, "a run of zeros has cuts")

    def test_a_chunk_that_was_not_flushed_where_it_is_cut_is_refused(self):
        """A stream without flushes, cut where it likes: what comes behind a cut cannot be read."""
        bundle = self.new_bundle()
        index, data, cuts = bundle.index(), bundle.parts["rootfs.data"], bundle.cuts()
        number = self.entry_of(bundle, False)
        entry, at = index.entries[number], sum(e[3] for e in index.entries[:number])
        stored = zlib.compress(zlib.decompress(data[at:at + entry[3]]), 9)
        blocks = -(-entry[2] // 4096)
        step = len(stored) // blocks
        pieces = [stored[i * step:(i + 1) * step if i + 1 < blocks else None]
                  for i in range(blocks)]
        bundle.put("rootfs.data", data[:at] + stored + data[at + entry[3]:])
        entry[1], entry[3] = digest(stored), len(stored)
        bundle.put_index(index)
        cuts[number] = [cut_record(*pieces), None]
        bundle.put_cuts(cuts)
        self.verify(bundle, "a block's stream is damaged, or of another size")


if __name__ == "__main__":
    unittest.main()

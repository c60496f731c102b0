"""Many ranges of one file, over lines and from servers that make that hard (agent/net_source.c)."""
import shutil
import tempfile
import threading
import time
import unittest

import test_net
from test_net import DATA, Probe, Server, sha


class Ranges(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sluice-ranges-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        test_net.make_certificates(cls.folder)

    def pair(self):
        server = Server(self.folder)
        self.addCleanup(server.close)
        probe = Probe(server.url, self.folder)
        self.addCleanup(lambda: self.assertEqual(probe.close(), 0))
        self.assertEqual(probe.ask("size", len(DATA)), "ok")
        return server, probe

    def assert_gives(self, answer, data):
        self.assertEqual(answer.split()[:4], ["ok", "206", str(len(data)), sha(data)], answer)

    def assert_fails(self, answer, text):
        self.assertEqual(answer.split()[:2], ["err", "network"], answer)
        self.assertIn(text, answer)

    @staticmethod
    def pieces(gap, length, count):
        return b"".join(DATA[i * (gap + length):][:length] for i in range(count))

    # Several in flight.

    def test_ranges_are_asked_for_before_their_turn(self):
        """A server that answers a third of a second after it was asked: one after the other, forty
        ranges would take thirteen seconds."""
        server, probe = self.pair()
        busy, most = [0], [0]
        honest = server.do_data

        def do_slow(tls, method, path, headers):
            busy[0] += 1
            most[0] = max(most[0], busy[0])
            time.sleep(0.3)
            busy[0] -= 1
            return honest(tls, method, path, headers)

        server.do_slow = do_slow
        started = time.monotonic()
        self.assert_gives(probe.ask("ranges", "slow", 5000, 2000, 40), self.pieces(5000, 2000, 40))
        self.assertLess(time.monotonic() - started, 10)
        self.assertEqual(most[0], 5)
        self.assertEqual(len(server.requests), 40)
        self.assertLess(server.handshakes, 10)

    def test_nothing_is_asked_for_behind_a_long_range_until_its_end_is_near(self):
        """It has begun, and goes on after a while, in which the next would have been asked for."""
        server, probe = self.pair()
        other = threading.Event()

        def do_pause(tls, _method, path, headers):
            first, last = map(int, headers["range"].removeprefix("bytes=").split("-"))
            if first > 0:
                other.set()
            server.reply(tls, 206, DATA[first:first + 1000], length=last + 1 - first,
                         Content_Range=f"bytes {first}-{last}/{len(DATA)}")
            other.wait(0.5)
            tls.sendall(DATA[first + 1000:last + 1])
            return True

        server.do_pause = do_pause
        self.assertEqual(probe.ask("named", "pause", 0, 600000, 700000, 100000, 200000).split()[:3],
                         ["ok", "206", "200000"])
        self.assertEqual(len(server.requests), 1)

    def test_a_server_that_allows_one_connection_is_asked_for_one_range_at_a_time(self):
        server, probe = self.pair()
        lock, refused = threading.Lock(), [0]

        def do_alone(tls, method, path, headers):
            if not lock.acquire(blocking=False):
                refused[0] += 1
                return server.reply(tls, 503)
            try:
                time.sleep(0.02)
                return server.do_data(tls, method, path, headers)
            finally:
                lock.release()

        server.do_alone = do_alone
        self.assert_gives(probe.ask("patient", "alone", 5000, 2000, 60),
                          self.pieces(5000, 2000, 60))
        self.assertGreater(refused[0], 0)
        self.assertLess(refused[0], 15)

    def test_a_range_that_failed_before_its_turn_is_asked_for_in_its_turn(self):
        """And that is no failure, which the one who asks would have to be patient with."""
        server, probe = self.pair()
        refused, both = [], threading.Event()

        def do_late(tls, method, path, headers):
            if headers["range"] != "bytes=0-1999" and len(refused) < 2:
                refused.append(headers["range"])
                server.reply(tls, 503)
                if len(refused) == 2:
                    both.set()
                return True
            if headers["range"] != "bytes=0-1999":
                return server.do_data(tls, method, path, headers)
            server.reply(tls, 206, DATA[:1000], length=2000,
                         Content_Range=f"bytes 0-1999/{len(DATA)}")
            both.wait(10)
            time.sleep(0.2)
            tls.sendall(DATA[1000:2000])
            return True

        server.do_late = do_late
        self.assert_gives(probe.ask("ranges", "late", 5000, 2000, 3), self.pieces(5000, 2000, 3))
        self.assertEqual(len(set(refused)), 2)

    # Servers, and proxies before them, that ignore ranges.

    def test_a_server_that_ignores_range_is_skipped_up_to_the_offset(self):
        _, probe = self.pair()
        self.assert_gives(probe.ask("range", "ignores-range", 300001, 400000),
                          DATA[300001:700001])
        self.assert_gives(probe.ask("range", "ignores-range", 0, len(DATA)), DATA)
        self.assert_fails(probe.ask("range", "ignores-range", 900000, 400000), "ends")

    def test_a_server_that_ignores_range_is_asked_once_for_all_ranges(self):
        server, probe = self.pair()
        self.assert_gives(probe.ask("ranges", "ignores-range", 50000, 20000, 14),
                          self.pieces(50000, 20000, 14))
        self.assertEqual(len(server.requests), 1)

    def test_a_server_that_ignores_range_and_cuts_is_not_asked_for_more_than_the_file(self):
        """Cut off early it is asked again, for that costs next to nothing; later it is not."""
        server, probe = self.pair()
        cuts = [5000, len(DATA)]

        def do_cut_whole(tls, *_):
            server.reply(tls, 200, DATA[:cuts.pop(0)], length=len(DATA))
            return False

        server.do_cut_whole = do_cut_whole
        answer = probe.ask("patient", "cut-whole", 50000, 20000, 14)
        self.assert_gives(answer, self.pieces(50000, 20000, 14))
        self.assertEqual(len(server.requests), 2)
        cuts += [600000, len(DATA)]
        self.assert_fails(probe.ask("patient", "cut-whole", 50000, 20000, 14), "ignores Range")
        self.assertEqual(len(server.requests), 3)

    def test_a_server_that_ignores_some_ranges_is_read_on_from_there(self):
        server, probe = self.pair()
        answers = iter([server.do_data] * 3 + [server.do_ignores_range] * 9)
        server.do_mixed = lambda *words: next(answers)(*words)
        self.assert_gives(probe.ask("ranges", "mixed", 50000, 20000, 14),
                          self.pieces(50000, 20000, 14))

    def test_what_has_begun_for_who_wants_ranges_only_is_gone_on_with(self):
        server, probe = self.pair()
        self.assert_gives(probe.ask("only", "ignores-range", 300001, 400000),
                          DATA[300001:700001])
        self.assertEqual(len(server.requests), 1)
        self.assert_gives(probe.ask("only", "data", 5000, 20000), DATA[5000:25000])

    def test_a_server_that_cuts_what_was_put_off_is_asked_again(self):
        """For as good as nothing of it had come, however small the file is."""
        server, probe = self.pair()
        cuts = [1000, 20000]
        server.do_cut_early = lambda tls, *_: server.reply(
            tls, 200, DATA[:cuts.pop(0)], length=20000) and False
        self.assertEqual(probe.ask("size", 20000), "ok")
        self.assert_gives(probe.ask("only", "cut-early", 5000, 15000), DATA[5000:20000])
        self.assertEqual(len(server.requests), 2)

    # Answers that are no range, or not the one that was asked for. The connection goes on.

    def assert_refused(self, deed, text):
        """deed(first, last): (status, body, length, headers) of the answer."""
        server, probe = self.pair()

        def do_deed(tls, _method, _path, headers):
            first, last = map(int, headers["range"].removeprefix("bytes=").split("-"))
            status, body, length, more = deed(first, last)
            return server.reply(tls, status, body, length, **more) and length is None

        server.do_deed = do_deed
        self.assert_fails(probe.ask("range", "deed", 5000, 20000), text)
        self.assert_gives(probe.ask("range", "data", 5000, 20000), DATA[5000:25000])

    def test_many_parts_for_one_range_are_refused(self):
        """As multipart/byteranges, which has no Content-Range of its own, or has one all the
        same: then its borders are no bytes of the file, and more than were asked for."""
        def parts(first, last):
            return (b"--x\r\nContent-Range: bytes %d-%d/%d\r\n\r\n" % (first, last, len(DATA)) +
                    DATA[first:last + 1] + b"\r\n--x--\r\n")

        kind = {"Content_Type": "multipart/byteranges; boundary=x"}
        self.assert_refused(lambda first, last: (206, parts(first, last), None, kind),
                            "another range")
        self.assert_refused(
            lambda first, last: (206, parts(first, last), None, {
                **kind, "Content_Range": f"bytes {first}-{last}/{len(DATA)}"}), "another range")

    def test_a_range_that_the_server_does_not_have_is_refused(self):
        self.assert_refused(lambda *_: (416, b"no", None, {
            "Content_Range": f"bytes */{len(DATA)}"}), "answered 416")

    def test_another_range_than_asked_for_is_refused(self):
        """One byte further up or down, shorter or longer, without a word, or with a wrong one."""
        for begin, end in ((1, 1), (-1, -1), (0, -1), (0, 1)):
            self.assert_refused(lambda first, last, b=begin, e=end: (
                206, DATA[first + b:last + 1 + e], None, {
                    "Content_Range": f"bytes {first + b}-{last + e}/{len(DATA)}"}),
                "another range")
        for word in ({}, {"Content_Range": "bytes"}, {"Content_Range": "bytes 0-/5"}):
            self.assert_refused(lambda first, last, w=word: (206, DATA[first:last + 1], None, w),
                                "another range")

    def test_a_body_that_is_not_as_long_as_its_range_is_refused(self):
        """It says so itself, or the connection is cut."""
        def named(first, last):
            return {"Content_Range": f"bytes {first}-{last}/{len(DATA)}"}

        for short, text in ((1, "another range"), (20000, "ended after 0")):
            self.assert_refused(lambda first, last, s=short: (
                206, DATA[first:last + 1 - s], None, named(first, last)), text)
        for sent in (0, 1, 19999):
            self.assert_refused(lambda first, last, n=sent: (
                206, DATA[first:first + n], 20000, named(first, last)), "deed")

    def test_a_range_in_chunks_or_compressed(self):
        server, probe = self.pair()

        def do_chunked(tls, _method, _path, headers):
            first, last = map(int, headers["range"].removeprefix("bytes=").split("-"))
            tls.sendall(b"HTTP/1.1 206 X\r\nTransfer-Encoding: chunked\r\n"
                        b"Content-Range: bytes %d-%d/%d\r\n\r\n" % (first, last, len(DATA)))
            for at in range(first, last + 1, 3000):
                part = DATA[at:min(at + 3000, last + 1)]
                tls.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            tls.sendall(b"0\r\n\r\n")
            return True

        def do_zipped(tls, *_):
            return server.reply(tls, 200, DATA, Content_Encoding="gzip")

        server.do_chunked, server.do_zipped = do_chunked, do_zipped
        self.assert_gives(probe.ask("ranges", "chunked", 5000, 20000, 20),
                          self.pieces(5000, 20000, 20))
        self.assert_fails(probe.ask("ranges", "zipped", 5000, 20000, 2), "encoded it as gzip")
        self.assert_fails(probe.ask("ranges", "data", 5000, 200000, 6), "another range")


if __name__ == "__main__":
    unittest.main()

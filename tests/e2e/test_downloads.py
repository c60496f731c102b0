"""What agent.conf says of downloads: how fast, when, and through whom."""
import select
import socket
import threading
import time
import unittest

from fleet.case import NEW, OLD, FleetCase
from fleet.process import wait_until
from fleet.workspace import clock_preload


class Proxy:
    """Knows CONNECT and nothing else; counts what passes."""

    def __init__(self):
        self.lines, self.first_bytes = [], []
        self.refuses = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(4096)
                if not piece:
                    return
                head += piece
            self.lines.append(head.split(b"\r\n")[0].decode())
            if self.refuses:
                client.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
                return
            host, port = self.lines[-1].split()[1].rsplit(":", 1)
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Yes\r\n\r\n")
                self.pass_on(client, server)

    def pass_on(self, client, server):
        said = False
        while True:
            for one in select.select([client, server], [], [])[0]:
                try:
                    data = one.recv(65536)
                except OSError:
                    return
                if not data:
                    return
                if one is client and not said:
                    said = True
                    self.first_bytes.append(data[0])
                (server if one is client else client).sendall(data)

    def close(self):
        self.listener.close()


class Downloads(FleetCase):
    def proxy(self):
        proxy = Proxy()
        self.addCleanup(proxy.close)
        return proxy

    def test_all_goes_through_the_proxy_and_none_of_it_in_the_clear(self):
        proxy = self.proxy()
        box = self.box(start=False)
        box.set({"site": {"proxy": proxy.url}})
        self.roll_out()
        box.start()
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)
        self.assertEqual(set(proxy.lines),
                         {f"CONNECT 127.0.0.1:{self.workspace.port} HTTP/1.1"})
        self.assertEqual(set(proxy.first_bytes), {0x16})  # a TLS handshake

    def test_a_proxy_that_refuses_is_a_network_that_fails(self):
        proxy = self.proxy()
        proxy.refuses = True
        box = self.box(start=False)
        box.set({"site": {"proxy": proxy.url}})
        self.roll_out()
        self.assertRegex(box.agent("check", check=1).stderr, "403")
        self.assertGreater(len(proxy.lines), 0)
        self.assert_runs(box, OLD)

    def test_the_environment_names_no_proxy(self):
        proxy = self.proxy()
        box = self.box(start=False)
        box.environ = {name: proxy.url for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY")}
        self.roll_out()
        self.assertRegex(box.agent("check").stdout, "^update")
        self.assertEqual(proxy.lines, [])

    def test_the_environment_exempts_nobody_from_the_proxy(self):
        proxy = self.proxy()
        box = self.box(start=False)
        box.set({"site": {"proxy": proxy.url}})
        box.environ = {"no_proxy": "*", "NO_PROXY": "*"}
        self.roll_out()
        self.assertRegex(box.agent("check").stdout, "^update")
        self.assertNotEqual(proxy.lines, [])

    def test_a_limited_download_takes_its_time_and_is_no_stall(self):
        """About half a MB at 64 KiB/s, of which the first second's are there at once."""
        box = self.box(start=False)
        box.set({"downloads": {"rate": "64KiB"}, "intervals": {"stall": "2s"}})
        self.roll_out()
        box.start()
        box.wait_for_phase("installing")
        began = time.monotonic()
        wait_until(lambda: box.phase() != "installing", 60, box.log)
        self.assertGreater(time.monotonic() - began, 3)
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assertEqual(box.log().count("updating: "), 1)

    @staticmethod
    def hours(clock_s, begins_in_s, minutes):
        """Hours that begin (in whole minutes) so long after that moment of the box's clock."""
        begin_s = clock_s + begins_in_s
        return "-".join(time.strftime("%H:%M", time.localtime(t))
                        for t in (begin_s, begin_s + 60 * minutes))

    def test_a_download_that_its_hours_interrupt_goes_on_in_the_next(self):
        """The box's clock is set to twenty seconds before the end of its hours, in which half of
        it comes."""
        other = self.box("gw-000002", start=False)
        now_s = int(time.time())
        ahead_s = 60 - now_s % 60 + 60 - 20
        box = self.box(start=False)
        box.environ = clock_preload(self.folder, ahead_s)
        box.set({"box": {"trust_clock": "yes"}, "downloads": {
            "rate": "16KiB", "hours": self.hours(now_s // 60 * 60, -3600, 62)}})
        self.roll_out()
        box.start()
        other.start()
        self.wait_for_log(box, "downloads wait for their hours", timeout_s=60)
        wait_until(lambda: any(r["state"] == "held" and "their hours" in r["detail"]
                               for r in self.workspace.reports(box.name)), 20, box.log)
        self.assertEqual(self.workspace.outcomes(box.name), [])
        self.assertEqual(box.status()["failed"], [])
        self.assert_runs(box, OLD, other_side_boots=False)
        # It goes on asking; a stop and its resume come through as ever.
        stop = self.workspace.stop("stable")
        wait_until(lambda: box.status()["stops"], 20, box.log)
        self.workspace.resume(stop)
        wait_until(lambda: not box.status()["stops"], 20, box.log)
        box.stop()
        box.set({"downloads": {"rate": None, "hours": self.hours(now_s // 60 * 60, -3600, 120)}})
        box.start()
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)
        self.wait_for_outcome(other, "ok", timeout_s=60)
        self.assertLess(box.fetched(NEW), other.fetched(NEW))


if __name__ == "__main__":
    unittest.main()

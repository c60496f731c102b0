"""What nginx refuses with the configuration that `sluice init` makes: each refusal is a test."""
import http.client
import os
import re
import socket
import ssl
import time
import unittest

from fleet import run
from web import Web

REPORT_MAX = 64 * 1024
OWN, OTHER = "/reports/gw-1/1.json", "/reports/gw-2/1.json"
SECRET = b"what gw-1 reported"
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def setUpModule():
    global web
    web = Web("gw-1", "gw-2")


def tearDownModule():
    web.end()


def named(cases):
    """A class decorator: a test for each case of `refused`, {name: arguments}."""
    def decorate(cls):
        for name, arguments in cases.items():
            arguments = arguments if isinstance(arguments, tuple) else (arguments,)
            setattr(cls, name, lambda self, arguments=arguments: self.refused(*arguments))
        return cls
    return decorate


def request(method, path, *lines, body=b"", host=b"Host: 127.0.0.1\r\n"):
    if isinstance(path, str):
        path = path.encode()
    head = b"".join(line + b"\r\n" for line in lines)
    if body:
        head += b"Content-Length: %d\r\n" % len(body)
    return method.encode() + b" " + path + b" HTTP/1.1\r\n" + host + b"Connection: close\r\n" + \
        head + b"\r\n" + body


class Refusal(unittest.TestCase):
    def setUp(self):
        web.empty_spool()
        self.before = web.tree()

    def statuses(self, answer):
        return [int(n) for n in re.findall(rb"HTTP/1\.[01] (\d+) ", answer)]

    def assert_refused(self, answer, *codes):
        """Only refusals came, and nothing of the workspace has changed."""
        found = self.statuses(answer)
        self.assertTrue(found, answer)
        self.assertGreaterEqual(min(found), 400, answer)
        if codes:
            self.assertIn(found[0], codes, answer)
        self.assertEqual(web.tree(), self.before)


@named({f"test_{method.lower()}_of_a_report_is_refused": method for method in (
    "GET", "HEAD", "POST", "DELETE", "PATCH", "OPTIONS", "MKCOL", "COPY", "MOVE", "PROPFIND",
    "PROPPATCH", "LOCK", "UNLOCK", "TRACE", "CONNECT", "put")})
class Methods(Refusal):
    """A report is put; nothing else is done to it, by whom it is of or by anybody else."""

    def refused(self, method):
        self.assertEqual(web.put("gw-1", OWN, SECRET), 201)
        self.before = web.tree()
        for box in ("gw-1", "gw-2", None):
            for path in (OWN, "/spool/gw-1@1.json", "/reports/gw-1@1.json"):
                answer = web.ask_raw(request(method, path, b"Destination: /reports/gw-2/2.json",
                                             b"Overwrite: T"), box)
                self.assertNotIn(SECRET, answer)
                self.assert_refused(answer)


@named({"test_another_boxs_path_is_refused": "/reports/gw-2/1.json",
        "test_another_boxs_path_of_a_name_in_capitals_is_refused": "/reports/GW-1/1.json",
        "test_another_boxs_path_of_a_longer_name_is_refused": "/reports/gw-11/1.json",
        "test_another_boxs_path_of_a_shorter_name_is_refused": "/reports/gw-/1.json",
        "test_nobodys_path_is_refused": "/reports//1.json",
        "test_the_reports_folder_is_refused": "/reports/",
        "test_the_reports_folder_without_a_slash_is_refused": "/reports",
        "test_a_boxs_folder_is_refused": "/reports/gw-1/",
        "test_a_boxs_folder_without_a_slash_is_refused": "/reports/gw-1",
        "test_a_report_without_a_box_is_refused": "/reports/1.json",
        "test_a_report_without_a_number_is_refused": "/reports/gw-1/.json",
        "test_a_report_with_number_0_is_refused": "/reports/gw-1/0.json",
        "test_a_report_with_a_number_that_begins_with_0_is_refused": "/reports/gw-1/01.json",
        "test_a_report_with_a_negative_number_is_refused": "/reports/gw-1/-1.json",
        "test_a_report_with_a_number_too_large_is_refused": "/reports/gw-1/12345678901234567.json",
        "test_a_report_with_a_name_for_a_number_is_refused": "/reports/gw-1/a.json",
        "test_a_report_with_a_number_in_other_digits_is_refused": "/reports/gw-1/%d9%a1.json",
        "test_a_report_with_no_ending_is_refused": "/reports/gw-1/1",
        "test_a_report_with_another_ending_is_refused": "/reports/gw-1/1.html",
        "test_a_report_with_an_ending_in_capitals_is_refused": "/reports/gw-1/1.JSON",
        "test_a_report_with_two_endings_is_refused": "/reports/gw-1/1.json.bak",
        "test_a_report_in_a_deeper_folder_is_refused": "/reports/gw-1/1/2.json",
        "test_a_report_below_another_path_is_refused": "/x/reports/gw-1/1.json",
        "test_a_report_in_capitals_is_refused": "/REPORTS/gw-1/1.json",
        "test_a_report_of_a_hidden_name_is_refused": "/reports/.gw-1/1.json",
        "test_a_report_by_its_name_in_the_spool_is_refused": "/spool/gw-1@1.json",
        "test_a_report_into_the_spool_under_reports_is_refused": "/reports/gw-1@1.json",
        "test_put_of_metadata_is_refused": "/metadata/timestamp.json",
        "test_put_of_new_metadata_is_refused": "/metadata/99.root.json",
        "test_put_of_a_target_is_refused": "/targets/bundles/data.ota",
        "test_put_of_a_new_target_is_refused": "/targets/bundles/new.ota",
        "test_put_into_the_root_is_refused": "/new.json",
        "test_put_of_the_root_is_refused": "/",
        "test_put_of_the_crl_is_refused": "/tls/crl.pem",
        "test_put_of_the_configuration_is_refused": "/nginx/sluice.conf"})
class Places(Refusal):
    """PUT by a good box anywhere but to its own reports."""

    def refused(self, path):
        self.assert_refused(web.ask_raw(request("PUT", path, body=b"{}"), "gw-1"), 403, 404, 405)

    def test_that_a_box_can_put_its_own_is_what_this_compares_with(self):
        answer = web.ask_raw(request("PUT", OWN, body=b"{}"), "gw-1")
        self.assertEqual(self.statuses(answer), [201])
        self.assertEqual(web.spool(), ["gw-1@1.json"])

    def test_a_query_does_not_change_the_place(self):
        self.assertEqual(web.put("gw-1", OWN + "?/../gw-2/1.json&x=/../../tls/crl.pem"), 201)
        self.assertEqual(web.spool(), ["gw-1@1.json"])

    def test_a_link_in_the_spool_is_replaced_and_not_followed(self):
        os.symlink("../site/metadata/timestamp.json", web.ws.path("spool", "gw-1@1.json"))
        self.assertIn(web.put("gw-1", OWN, b"{}"), (201, 204))
        self.assertFalse(os.path.islink(web.ws.path("spool", "gw-1@1.json")))
        web.empty_spool()
        self.assertEqual(web.tree(), self.before)


CHUNK = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
SMUGGLED = request("PUT", "/reports/gw-1/9.json", body=b"{}")


@named({"test_a_body_a_byte_over_the_limit_is_refused": (413, (), b"x" * (REPORT_MAX + 1)),
        "test_a_body_in_chunks_over_the_limit_is_refused":
            (413, (b"Transfer-Encoding: chunked",), None, CHUNK * 17 + b"0\r\n\r\n"),
        "test_a_length_over_the_limit_is_refused": (413, (b"Content-Length: 10000000000",)),
        "test_a_length_that_overflows_is_refused":
            (400, (b"Content-Length: 18446744073709551618",), None, b"{}"),
        "test_a_negative_length_is_refused": (400, (b"Content-Length: -2",), None, b"{}"),
        "test_a_length_that_is_no_number_is_refused": (400, (b"Content-Length: two",), None, b"{}"),
        "test_a_length_in_two_words_is_refused": (400, (b"Content-Length: 2, 2",), None, b"{}"),
        "test_a_length_given_twice_is_refused":
            (400, (b"Content-Length: 2", b"Content-Length: 2"), None, b"{}"),
        "test_a_length_beside_chunks_is_refused":
            (400, (b"Content-Length: 2", b"Transfer-Encoding: chunked"),
             None, b"2\r\n{}\r\n0\r\n\r\n"),
        "test_an_unknown_coding_is_refused":
            (501, (b"Transfer-Encoding: gzip, chunked",), None, b"{}"),
        "test_a_coding_given_twice_is_refused":
            (400, (b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"),
             None, b"2\r\n{}\r\n0\r\n\r\n"),
        "test_a_chunk_without_a_size_is_refused":
            (400, (b"Transfer-Encoding: chunked",), None, b"zz\r\n{}"),
        "test_a_chunk_of_a_size_that_overflows_is_refused":
            (400, (b"Transfer-Encoding: chunked",), None, b"ffffffffffffffff1\r\n{}"),
        "test_no_length_at_all_is_refused": ((411, 500), ()),
        "test_a_part_of_a_report_is_refused": ((400, 501), (b"Content-Range: bytes 0-1/4",), b"{}"),
        "test_a_request_in_a_body_too_large_is_refused":
            (413, (), SMUGGLED * (REPORT_MAX // len(SMUGGLED) + 1))})
class Bodies(Refusal):
    """PUT of a box's own report with a body that is not to be taken."""

    def refused(self, codes, lines, body=b"", rest=b""):
        codes = codes if isinstance(codes, tuple) else (codes,)
        answer = web.ask_raw(request("PUT", OWN, *lines, body=body or b"") + rest, "gw-1")
        self.assert_refused(answer, *codes)

    def test_a_body_for_the_site_over_a_kilobyte_is_refused(self):
        answer = web.ask_raw(request("GET", "/metadata/timestamp.json", body=b"x" * 1025), "gw-1")
        self.assert_refused(answer, 413)

    def test_a_body_over_the_limit_on_a_kept_connection_is_no_next_request(self):
        body = SMUGGLED * (REPORT_MAX // len(SMUGGLED) + 1)
        data = request("PUT", OWN, body=body).replace(b"Connection: close\r\n", b"", 1)
        self.assert_refused(web.ask_raw(data, "gw-1"), 413)

    def test_a_body_behind_a_refusal_is_no_next_request(self):
        data = request("PUT", OTHER, body=SMUGGLED).replace(b"Connection: close\r\n", b"", 1)
        self.assert_refused(web.ask_raw(data + request("GET", "/x"), "gw-1"), 403)


@named({"test_a_request_without_a_host_is_refused": request("PUT", OWN, body=b"{}", host=b""),
        "test_a_request_with_two_hosts_is_refused":
            request("PUT", OWN, body=b"{}", host=b"Host: 127.0.0.1\r\nHost: b\r\n"),
        "test_a_host_with_a_slash_is_refused":
            request("PUT", OWN, body=b"{}", host=b"Host: a/../b\r\n"),
        "test_a_host_with_a_null_byte_is_refused":
            request("PUT", OWN, body=b"{}", host=b"Host: a\0b\r\n"),
        "test_a_header_with_a_null_byte_is_refused": request("PUT", OWN, b"X: a\0b", body=b"{}"),
        "test_a_header_too_large_is_refused":
            request("PUT", OWN, b"X: " + b"x" * 40000, body=b"{}"),
        "test_headers_too_many_is_refused":
            request("PUT", OWN, *[b"X: " + b"x" * 4000] * 40, body=b"{}"),
        "test_a_path_too_long_is_refused":
            request("PUT", "/reports/gw-1/" + "1" * 40000 + ".json", body=b"{}"),
        "test_a_request_line_with_a_blank_more_is_refused":
            b"PUT " + OWN.encode() + b" x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        "test_an_unknown_protocol_is_refused":
            b"PUT " + OWN.encode() + b" HTTP/7.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        "test_a_proxys_method_is_refused": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a\r\n\r\n",
        "test_an_absolute_url_of_another_boxs_path_is_refused":
            request("PUT", "https://127.0.0.1" + OTHER, body=b"{}"),
        "test_an_absolute_url_of_another_server_is_refused":
            request("PUT", "https://other.example" + OTHER, body=b"{}"),
        "test_an_absolute_url_of_no_file_is_refused": request("GET", "file:///etc/passwd")})
class Requests(Refusal):
    """Requests that are not as HTTP has them, or are for somebody else."""

    def refused(self, data):
        self.assert_refused(web.ask_raw(data, "gw-1"))

    def test_a_request_without_tls_is_refused(self):
        with socket.create_connection(("127.0.0.1", web.ws.port), timeout=20) as s:
            s.sendall(request("PUT", OWN, body=b"{}"))
            answer = s.recv(65536)
        self.assert_refused(answer, 400)

    def test_another_hosts_name_gives_no_other_rights(self):
        self.assert_refused(web.ask_raw(request("PUT", OTHER, body=b"{}", host=b"Host: gw-2\r\n"),
                                        "gw-1"), 403)


UPS = {"dots": b"..", "encoded_dots": b"%2e%2e", "half_encoded_dots": b".%2e",
       "twice_encoded_dots": b"%252e%252e", "dots_and_a_semicolon": b"..;",
       "dots_and_a_null_byte": b"..%00", "overlong_dots": b"%c0%ae%c0%ae",
       "dots_and_a_blank": b"..%20", "dots_in_utf16": b"%u002e%u002e"}
SLASHES = {"a_slash": b"/", "an_encoded_slash": b"%2f", "a_twice_encoded_slash": b"%252f",
           "two_slashes": b"//", "a_backslash": b"\\", "an_encoded_backslash": b"%5c",
           "an_overlong_slash": b"%c0%af"}


@named({f"test_{up}_with_{slash}_is_refused": (UPS[up], SLASHES[slash])
        for up in UPS for slash in SLASHES})
class Climbs(Refusal):
    """Ways up and out of a folder, to read and to write."""

    def refused(self, dots, slash):
        with open(web.ws.path("tls", "ca.key"), "rb") as f:
            secret = f.read().split(b"\n")[1]
        up = dots + slash
        for path in (b"/metadata/" + up * 2 + b"tls/ca.key", b"/targets" + dots + b"/tls/ca.key",
                     b"/targets/bundles" + slash + up * 3 + b"tls/ca.key"):
            answer = web.ask_raw(request("GET", path), "gw-1")
            self.assertNotIn(secret, answer)
            self.assert_refused(answer)
        for path in (b"/reports/gw-1" + slash + up + b"gw-2/1.json",
                     b"/reports/gw-1/" + up * 2 + b"spool/gw-2@1.json",
                     b"/reports/gw-1/" + up * 2 + b"metadata/timestamp.json"):
            self.assert_refused(web.ask_raw(request("PUT", path, body=b"{}"), "gw-1"))


@named({"test_a_null_byte_behind_a_name_is_refused": b"/reports/gw-1/1.json%00",
        "test_a_null_byte_before_another_ending_is_refused": b"/reports/gw-1/1.json%00.txt",
        "test_a_null_byte_in_a_boxs_name_is_refused": b"/reports/gw-1%00/1.json",
        "test_a_raw_null_byte_is_refused": b"/reports/gw-1/1.json\0",
        "test_a_line_end_behind_a_name_is_refused": b"/reports/gw-1/1.json%0a",
        "test_a_line_end_in_a_boxs_name_is_refused": b"/reports/gw-1%0a/1.json",
        "test_a_return_behind_a_name_is_refused": b"/reports/gw-1/1.json%0d",
        "test_a_blank_behind_a_name_is_refused": b"/reports/gw-1/1.json%20",
        "test_a_dot_behind_a_name_is_refused": b"/reports/gw-1/1.json.",
        "test_a_slash_behind_a_name_is_refused": b"/reports/gw-1/1.json/",
        "test_a_semicolon_behind_a_name_is_refused": b"/reports/gw-1/1.json;x",
        "test_a_semicolon_in_a_boxs_name_is_refused": b"/reports/gw-1;gw-2/1.json",
        "test_a_stream_behind_a_name_is_refused": b"/reports/gw-1/1.json::$DATA",
        "test_a_variable_in_a_boxs_name_is_refused": b"/reports/$sluice_box/1.json",
        "test_a_percent_that_encodes_nothing_is_refused": b"/reports/gw-1/%zz.json",
        "test_a_percent_at_the_end_is_refused": b"/reports/gw-1/1.json%",
        "test_a_path_without_a_slash_is_refused": b"reports/gw-1/1.json"})
class Spellings(Refusal):
    """Names that something behind nginx might read otherwise."""

    def refused(self, path):
        self.assert_refused(web.ask_raw(request("PUT", path, body=b"{}"), "gw-1"), 400, 403, 404)

    def test_other_spellings_of_a_boxs_own_place_lead_there(self):
        for i, path in enumerate((b"/reports//gw-1/1.json", b"/reports/gw%2d1/1.json",
                                  b"/reports/./gw-1/1.json", b"/reports/gw-2/../gw-1/1.json")):
            answer = web.ask_raw(request("PUT", path, body=b"%d" % i), "gw-1")
            self.assertIn(self.statuses(answer), ([201], [204]))
            self.assertEqual(web.spool(), ["gw-1@1.json"])


def names(*attributes):
    """A subject as openssl(1) takes it."""
    return "".join("/" + a.replace("/", r"\/").replace("+", r"\+") for a in attributes)


@named({"test_a_name_in_capitals_is_refused": names("CN=GW-1"),
        "test_a_name_with_a_way_up_is_refused": names("CN=../gw-1"),
        "test_a_name_with_a_slash_is_refused": names("CN=gw-1/1.json"),
        "test_a_name_with_an_encoded_slash_is_refused": names("CN=gw-1%2f1.json"),
        "test_a_name_with_an_encoded_letter_is_refused": names("CN=gw%2d1"),
        "test_a_name_with_a_null_byte_in_words_is_refused": names(r"CN=gw-1\\00"),
        "test_a_name_with_a_line_end_is_refused": names("CN=gw-1\n"),
        "test_a_name_behind_a_line_end_is_refused": names("CN=x\nCN=gw-1"),
        "test_a_name_with_a_blank_before_it_is_refused": names("CN= gw-1"),
        "test_a_name_with_a_blank_behind_it_is_refused": names("CN=gw-1 "),
        "test_a_name_with_a_comma_is_refused": names("CN=gw-1,CN=gw-2"),
        "test_a_name_with_a_plus_is_refused": names("CN=gw-1+CN=gw-2"),
        "test_a_name_that_begins_with_a_dot_is_refused": names("CN=.gw-1"),
        "test_a_name_with_a_variable_is_refused": names("CN=$sluice_who"),
        "test_a_name_with_letters_that_look_alike_is_refused": names("CN=gw‐1"),
        "test_a_name_as_long_as_names_get_is_refused": names("CN=gw-1" + "1" * 60),
        "test_a_longer_name_is_refused": names("CN=gw-11"),
        "test_a_shorter_name_is_refused": names("CN=gw-"),
        "test_two_names_is_refused": names("CN=gw-1", "CN=gw-2"),
        "test_two_names_of_one_is_refused": names("CN=gw-1", "CN=gw-1"),
        "test_a_name_in_a_company_is_refused": names("O=Acme", "CN=gw-1"),
        "test_a_name_before_a_company_is_refused": names("CN=gw-1", "O=Acme"),
        "test_a_company_of_that_name_is_refused": names("O=gw-1"),
        "test_a_unit_with_the_name_in_it_is_refused": names("OU=CN=gw-1"),
        "test_a_serial_number_of_that_name_is_refused": names("serialNumber=gw-1"),
        "test_a_mail_address_of_that_name_is_refused": names("emailAddress=gw-1"),
        "test_an_alternative_name_of_that_box_is_refused":
            (names("CN=gw-2"), "subjectAltName=DNS:gw-1,URI:CN=gw-1,dirName:dn\n[dn]\nCN=gw-1\n")})
class Names(Refusal):
    """The fleet's own CA issues CN=NAME and nothing else. Were it led to sign another subject, it
    would not make anybody gw-1."""

    def refused(self, subject, extensions=""):
        pair = web.certificate(subject, extensions=extensions)
        self.assertEqual(web.status("GET", "/metadata/timestamp.json", cert=pair), 200)
        self.assertEqual(web.status("PUT", OWN, cert=pair), 403)
        self.assertEqual(web.tree(), self.before)

    def test_a_certificate_with_the_name_is_what_this_compares_with(self):
        self.assertEqual(web.status("PUT", OWN, cert=web.certificate(names("CN=gw-1"))), 201)


class Certificates(Refusal):
    def refused(self, pair, codes=(400,)):
        for method, path in (("PUT", OWN), ("GET", "/metadata/timestamp.json")):
            self.assertIn(web.status(method, path, cert=pair), codes)
        self.assertEqual(web.tree(), self.before)

    def issuer(self, subject, **settings):
        return web.certificate(subject, extensions="basicConstraints=critical,CA:TRUE\n",
                               **settings)

    def test_no_certificate_is_refused(self):
        self.assert_refused(web.ask_raw(request("PUT", OWN, body=b"{}")), 403)

    def test_an_expired_certificate_is_refused(self):
        self.refused(web.certificate(names("CN=gw-1"), left_s=-60))

    def test_a_certificate_of_the_future_is_refused(self):
        self.refused(web.certificate(names("CN=gw-1"), left_s=30 * 86400))

    def test_a_revoked_certificate_is_refused(self):
        web.ws.add_box("gw-4")
        self.assertEqual(web.status("GET", "/metadata/timestamp.json", "gw-4"), 200)
        web.ws.revoke_box("gw-4")
        web.server.reload()
        self.assertEqual(web.status("GET", "/metadata/timestamp.json", "gw-4"), 400)
        self.assertEqual(web.status("PUT", "/reports/gw-4/1.json", "gw-4"), 400)
        self.assertEqual(web.status("GET", "/metadata/timestamp.json", "gw-1"), 200)
        self.assertEqual(web.status("GET", "/metadata/timestamp.json"), 200)
        self.assertEqual(web.spool(), [])

    def test_a_certificate_of_another_ca_of_that_name_is_refused(self):
        subject = run(["openssl", "x509", "-noout", "-subject", "-nameopt", "compat", "-in",
                       web.ws.path("tls", "ca.crt")]).stdout.strip().removeprefix("subject=")
        self.refused(web.certificate(names("CN=gw-1"), ca=self.issuer(subject)))

    def test_a_certificate_by_another_box_is_refused(self):
        box = (web.ws.path("boxes", "gw-2", "box.crt"), web.ws.path("boxes", "gw-2", "box.key"))
        self.refused(web.certificate(names("CN=gw-1"), ca=box))

    def test_a_certificate_by_a_ca_below_the_fleets_is_refused(self):
        below = self.issuer(names("CN=below"))
        crt, key = web.certificate(names("CN=gw-1"), ca=below)
        with open(crt, "a", encoding="ascii") as f, open(below[0], encoding="ascii") as b:
            f.write(b.read())
        self.refused((crt, key))

    def test_the_cas_own_certificate_is_no_boxs(self):
        self.refused((web.ws.path("tls", "ca.crt"), web.ws.path("tls", "ca.key")), (400, 403))

    def test_the_servers_own_certificate_is_no_boxs(self):
        self.refused((web.ws.path("tls", "server.crt"), web.ws.path("tls", "server.key")))


class Sessions(Refusal):
    """What was judged once. TLS 1.3 gives a new session on each connection, so that whoever comes
    back in time again and again is never without one."""

    def tearDown(self):
        web.change_back()

    def new_box(self, name):
        web.ws.add_box(name)
        return name

    def test_a_resumed_session_of_a_revoked_certificate_is_refused(self):
        for version in VERSIONS:
            box = self.new_box("gw-5" + version.name[-1])
            c = web.context(box, version=version)
            _, session, _ = web.resume(c, None)
            status, session, resumed = web.resume(c, session)
            self.assertEqual((status, resumed), (200, True))
            web.ws.revoke_box(box)
            web.server.reload()
            status, _, resumed = web.resume(c, session)
            self.assertEqual((status, resumed), (400, False), version)

    def test_sessions_outlive_a_reload_without_a_new_crl(self):
        """So what ends them above is the CRL."""
        c = web.context("gw-1")
        _, session, _ = web.resume(c, None)
        web.server.reload()
        status, _, resumed = web.resume(c, session)
        self.assertEqual((status, resumed), (200, True))

    def test_a_resumed_session_of_an_expired_certificate_is_refused(self):
        """On its last day no session of it is resumed at all; the certificate itself is good until
        its last second."""
        pair = web.certificate(names("CN=gw-1"), left_s=10)
        ends = time.time() + 10
        for version in VERSIONS:
            c = web.context(cert=pair, version=version)
            status, session, _ = web.resume(c, None)
            self.assertEqual(status, 200)
            self.assertEqual(web.resume(c, session)[0], 400, version)
            self.assertEqual(web.resume(c, None)[0], 200)
        self.assertLess(time.time(), ends)
        time.sleep(max(0, ends - time.time()) + 1.1)
        for version in VERSIONS:
            c = web.context(cert=pair, version=version)
            self.assertEqual(web.resume(c, None)[0], 400, version)

    def test_a_session_is_not_resumed_past_its_life(self):
        web.change("ssl_session_timeout 20m", "ssl_session_timeout 3s")
        for version in VERSIONS:
            c = web.context("gw-1", version=version)
            _, session, _ = web.resume(c, None)
            self.assertEqual(web.resume(c, session)[2], True)
            time.sleep(4.1)  # whole seconds are counted, and three are not yet over three
            status, _, resumed = web.resume(c, session)
            self.assertEqual((status, resumed), (200, False), version)

    def test_a_session_that_was_prolonged_is_refused_once_it_is_revoked(self):
        box = self.new_box("gw-6")
        web.change("ssl_session_timeout 20m", "ssl_session_timeout 3s")
        c = web.context(box, version=ssl.TLSVersion.TLSv1_3)
        _, session, _ = web.resume(c, None)
        for _ in range(4):
            time.sleep(1)
            status, session, resumed = web.resume(c, session)
            self.assertEqual((status, resumed), (200, True))
        web.ws.revoke_box(box)
        web.server.reload()
        status, session, _ = web.resume(c, session)
        self.assertEqual(status, 400)

    def ask_twice(self, box, between):
        connection = http.client.HTTPSConnection("127.0.0.1", web.ws.port, timeout=20,
                                                 context=web.context(box))
        try:
            connection.request("PUT", f"/reports/{box}/1.json", body=b"{}")
            self.assertEqual(connection.getresponse().read(), b"")
            self.assertEqual(len(web.spool()), 1)
            connection.auto_open = False
            between()
            connection.request("PUT", f"/reports/{box}/2.json", body=b"{}")
            return connection.getresponse().status
        except (http.client.HTTPException, ConnectionError, ssl.SSLError):
            return 400
        finally:
            connection.close()

    def test_a_kept_connection_of_a_revoked_certificate_is_closed_by_the_reload(self):
        box = self.new_box("gw-7")

        def revoke():
            web.ws.revoke_box(box)
            web.server.reload()

        self.assertEqual(self.ask_twice(box, revoke), 400)
        self.assertEqual(web.spool(), ["gw-7@1.json"])

    def test_a_kept_connection_is_closed_at_the_end_of_its_time(self):
        """So an expired certificate is judged again, reload or not."""
        web.change("keepalive_time 5m", "keepalive_time 3s")
        connection = http.client.HTTPSConnection("127.0.0.1", web.ws.port, timeout=20,
                                                 context=web.context("gw-1"))
        closing = []
        for _ in range(2):
            connection.request("GET", "/metadata/timestamp.json")
            answer = connection.getresponse()
            answer.read()
            closing.append(answer.headers["Connection"] == "close")
            time.sleep(3.2)
        connection.close()
        self.assertEqual(closing, [False, True])


if __name__ == "__main__":
    unittest.main()

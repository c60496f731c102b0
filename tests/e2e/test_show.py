"""`sluice show` of metadata."""
import json
import unittest

from examining import Case
from examining import begin_bare as setUpModule  # noqa: F401
from examining import end as tearDownModule  # noqa: F401


class Show(Case):
    def show(self, role, *args):
        version = self.ws.metadata(role)["signed"]["version"]
        name = "timestamp" if role == "timestamp" else f"{version}.{role}"
        return self.ws.sluice("show", self.ws.path("site/metadata", name + ".json"), *args).stdout

    def test_metadata_is_shown_in_words(self):
        self.assertIn("root: 2 of 3 keys", self.show("root"))
        self.assertIn("gates: 1 of 1 keys, for gates/*", self.show("targets"))
        self.assertIn("rollouts/stable.json, ", self.show("rollouts"))
        self.assertIn("snapshot.json, version ", self.show("timestamp"))
        self.assertEqual(json.loads(self.show("gates", "--json")), self.ws.metadata("gates"))

    def test_what_is_no_metadata_is_refused_and_no_terminal_is_harmed(self):
        path = self.ws.path("odd.json")
        for text in ("{", "{}", '{"signed": []}', '{"signed": {"_type": 7}}'):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            self.ws.sluice("show", path, check=1)
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"signed": {"_type": "\x1b[2J", "roles": {"\x1b": 7, "x": {"keyids": [7]}},
                                  "meta": {"\x07": None}, "targets": {"a\nb": {"hashes": 3}},
                                  "delegations": {"roles": [4]}},
                       "signatures": [{"keyid": "\x1b"}, 9]}, f)
        said = self.ws.sluice("show", path).stdout
        self.assertNotIn("\x1b", said)
        self.assertIn("a b, 0 bytes", said)


if __name__ == "__main__":
    unittest.main()

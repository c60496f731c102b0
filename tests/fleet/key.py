"""Keys and canonical JSON by hand: libsodium signs, and nothing of ours has a part in it."""
import base64
import ctypes
import hashlib
import json

SODIUM = ctypes.CDLL("libsodium.so.23")


def canonical(value):
    """Canonical JSON as TUF has it."""
    if isinstance(value, dict):
        return "{" + ",".join(canonical(k) + ":" + canonical(value[k])
                              for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return json.dumps(value)


class Key:
    """A secret key in minisign's format without a passphrase."""

    def __init__(self, path):
        with open(path, encoding="ascii") as f:
            raw = base64.b64decode(f.read().splitlines()[1])
        self.secret = raw[62:126]
        self.public = {"keytype": "ed25519", "scheme": "ed25519",
                       "keyval": {"public": raw[94:126].hex()}}
        self.id = hashlib.sha256(canonical(self.public).encode()).hexdigest()

    def sign(self, message):
        out = ctypes.create_string_buffer(64)
        SODIUM.crypto_sign_detached(out, None, message, ctypes.c_ulonglong(len(message)),
                                    self.secret)
        return out.raw.hex()

    def signature(self, signed, keyid=None):
        return {"keyid": keyid or self.id, "sig": self.sign(canonical(signed).encode())}

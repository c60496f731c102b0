"""The variables of UEFI firmware (OVMF's store), written before a machine starts and read after it
was off."""
import shutil
import struct
import uuid

from vm.disk import AT, ESP, ESP_UUID, SECTOR

CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
BLANK = "/usr/share/OVMF/OVMF_VARS_4M.fd"
GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c").bytes_le
ATTRIBUTES = 7  # kept; seen by boot services; and at run time
# Behind the headers of the volume (EFI_FIRMWARE_VOLUME_HEADER) and of the store.
FIRST = 0x48 + 28
HEADER = struct.Struct("<HBBIQ16sIII16s")  # AUTHENTICATED_VARIABLE_HEADER, packed
START = 0x55AA
ADDED, GOING = 0x3F, 0x3E  # whole; whole, and about to be replaced


def wide(text):
    return (text + "\0").encode("utf-16-le")


def numbers(*values):
    return struct.pack(f"<{len(values)}H", *values)


def split(data):
    return struct.unpack(f"<{len(data) // 2}H", data)


def load_option(description, path, arguments):
    """EFI_LOAD_OPTION (UEFI 2.10, 3.1.3): a file on the ESP, and what it is told."""
    first, size = AT[ESP]
    disk = struct.pack("<BBHIQQ16sBB", 4, 1, 42, ESP, first // SECTOR, size // SECTOR,
                       uuid.UUID(ESP_UUID).bytes_le, 2, 2)
    name = wide(path.replace("/", "\\"))
    nodes = disk + struct.pack("<BBH", 4, 4, 4 + len(name)) + name + b"\x7f\xff\x04\x00"
    return struct.pack("<IH", 1, len(nodes)) + wide(description) + nodes + wide(arguments)


def make(path, given=None):
    """A store of its own, in which these stand: name -> bytes."""
    shutil.copyfile(BLANK, path)
    with open(path, "r+b") as f:
        f.seek(FIRST)
        for name, data in (given or {}).items():
            name = wide(name)
            text = HEADER.pack(START, ADDED, 0, ATTRIBUTES, 0, bytes(16), 0, len(name), len(data),
                               GLOBAL) + name + data
            f.write(text + b"\xff" * (-len(text) % 4))


def read(path):
    """name -> bytes of those that the specification defines."""
    with open(path, "rb") as f:
        store = f.read()
    at, found = FIRST, {}
    while True:
        start, state, _, _, _, _, _, name_len, data_len, vendor = HEADER.unpack_from(store, at)
        if start != START:
            return found
        name = at + HEADER.size
        data = name + name_len
        if state in (ADDED, GOING) and vendor == GLOBAL:
            found[store[name:data - 2].decode("utf-16-le")] = store[data:data + data_len]
        at = (data + data_len + 3) & ~3

"""WebAssembly modules taken apart and put together again, as far as tests need wrong ones."""

CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA = range(12)
HEAD = b"\0asm\1\0\0\0"


def varint(number):
    out = bytearray()
    while True:
        byte, number = number & 0x7F, number >> 7
        out.append(byte | (0x80 if number else 0))
        if not number:
            return bytes(out)


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return number, at


def sized(data):
    data = data.encode() if isinstance(data, str) else data
    return varint(len(data)) + data


def section(kind, content):
    return bytes([kind]) + sized(content)


def custom(name, content):
    return section(CUSTOM, sized(name) + content)


def vector(items):
    return varint(len(items)) + b"".join(items)


def sections(module):
    """[(kind, content)] of a module."""
    found, at = [], len(HEAD)
    while at < len(module):
        kind = module[at]
        size, at = read_varint(module, at + 1)
        found.append((kind, bytes(module[at:at + size])))
        at += size
    return found


def build(parts):
    return HEAD + b"".join(section(kind, content) for kind, content in parts)


def custom_name(content):
    size, at = read_varint(content, 0)
    return content[at:at + size].decode()


def custom_content(content):
    size, at = read_varint(content, 0)
    return content[at + size:]


def with_custom(module, name, content):
    return module + custom(name, content)


def without_custom(module, name):
    return build([(kind, content) for kind, content in sections(module)
                  if kind != CUSTOM or custom_name(content) != name])


def types_text(module):
    """What cairn.types says."""
    return b"".join(custom_content(content) for kind, content in sections(module)
                    if kind == CUSTOM and custom_name(content) == "cairn.types").decode()


def with_types(module, text):
    return with_custom(without_custom(module, "cairn.types"), "cairn.types", text.encode())

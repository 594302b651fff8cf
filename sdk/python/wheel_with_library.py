"""Builds the wheel of cairn_state with the library in it: a build backend (PEP 517) of the standard library alone.

The library is the file that CAIRN_ENGINE_LIBRARY names, or the one in the build folder of the checkout that this file
lies in.  A wheel without it would be of no use on a machine without cairn, so without it none is made.
"""
import base64
import hashlib
import os
import re
import sysconfig
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
SONAME = "libcairn-engine.so.0"
PACKAGE = "cairn_state"
BUILT = os.path.join(HERE, "..", "..", "build", SONAME)


def read(*names):
    with open(os.path.join(HERE, *names), "rb") as file:
        return file.read()


def setting(name):
    """Of pyproject.toml, whose parser older Pythons do not have."""
    return re.search(rf'^{name} = "(.*)"$', read("pyproject.toml").decode(), re.M)[1]


def settings(name):
    return re.findall(r'"(.*?)"', re.search(rf"^{name} = \[(.*?)\]", read("pyproject.toml").decode(), re.M | re.S)[1])


def metadata():
    lines = ["Metadata-Version: 2.1", f"Name: {setting('name')}", f"Version: {setting('version')}",
             f"Summary: {setting('description')}", f"Requires-Python: {setting('requires-python')}",
             "License: Apache-2.0", f"Keywords: {','.join(settings('keywords'))}"]
    lines += [f"Classifier: {each}" for each in settings("classifiers")]
    lines += ["Description-Content-Type: text/markdown", "", read("README.md").decode()]
    return "\n".join(lines).encode()


def library():
    path = os.environ.get("CAIRN_ENGINE_LIBRARY") or BUILT
    if not os.path.isfile(path):
        raise SystemExit(f"'{path}' is missing: build cairn first (make), or let CAIRN_ENGINE_LIBRARY name the file")
    with open(path, "rb") as file:
        return file.read()


def write(path, files, record=None):
    """Everything with the same date, so that the same files make the same wheel."""
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100755 if name.endswith(SONAME) else 0o100644) << 16
            archive.writestr(info, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(data)}")
        if record:
            archive.writestr(zipfile.ZipInfo(record, (1980, 1, 1, 0, 0, 0)), "\n".join(lines + [f"{record},,", ""]))


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    version = setting("version")
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    info = f"{PACKAGE}-{version}.dist-info"
    name = f"{PACKAGE}-{version}-py3-none-{platform}.whl"
    tags = f"Wheel-Version: 1.0\nGenerator: cairn\nRoot-Is-Purelib: false\nTag: py3-none-{platform}\n"
    files = [(f"{PACKAGE}/__init__.py", read(PACKAGE, "__init__.py")), (f"{PACKAGE}/{SONAME}", library()),
             (f"{info}/METADATA", metadata()), (f"{info}/WHEEL", tags.encode())]
    write(os.path.join(wheel_directory, name), files, f"{info}/RECORD")
    return name

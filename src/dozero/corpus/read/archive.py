"""Members of zip and tar archives, one after the other, in memory: nothing is ever written to disk.

So a name such as ../../etc/passwd could do no harm; it is refused all the same, because an honest archive has none.
"""

from __future__ import annotations

import posixpath
import re
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from dozero.corpus.read.limits import Unreadable
from dozero.corpus.read.office import OFFICE
from dozero.corpus.read.origin import Origin
from dozero.corpus.read.streams import BROKEN, File, Stream, Unpacked
from dozero.errors import DataError

# What a header with a long name may take; tarfile would read one of any size into memory.
TAR_HEADER_BYTES = 1 << 20
TAR_BLOCK = 10_240
ZIP_ENTRY_BYTES = 46
ZIP_NAME_BYTES = 150
UNREAD_KINDS = {
    "xl/workbook.xml": "a spreadsheet (save it as csv)",
    "ppt/presentation.xml": "a presentation (save it as pdf)",
    "META-INF/MANIFEST.MF": "a Java program",
    "AndroidManifest.xml": "an Android program",
}


class Member(NamedTuple):
    """A file in an archive, to be read before the next one is asked for."""

    origin: Origin
    stream: Stream


class Paced:
    """A stream that gives a tar reader no more than it is allowed between one member and the next."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.allowed_bytes: int | None = TAR_HEADER_BYTES

    def read(self, size: int = -1, /) -> bytes:
        """Return further bytes, or raise DataError when a header takes more than is allowed."""
        data = self._stream.read(size)
        if self.allowed_bytes is not None:
            self.allowed_bytes -= len(data)
            if self.allowed_bytes < 0:
                raise DataError("a tar header of more than a megabyte")
        return data


def open_zip(file: File, origin: Origin) -> zipfile.ZipFile:
    """Return the open archive; DataError when it is damaged or lists too many members to be held in memory."""
    if _directory_bytes(file) > origin.limits.members * (ZIP_ENTRY_BYTES + ZIP_NAME_BYTES):
        raise DataError(f"more than {origin.limits.members:,} files in it")
    try:
        archive = zipfile.ZipFile(file)
    except (*BROKEN, ValueError, struct.error) as error:
        raise DataError(f"damaged zip ({error})") from None
    if len(archive.infolist()) > origin.limits.members:
        raise DataError(f"more than {origin.limits.members:,} files in it")
    return archive


def find_kind(archive: zipfile.ZipFile) -> str:
    """Return docx, odt, epub or zip by what the archive holds; DataError for a kind of file that is not read."""
    names = archive.NameToInfo
    for kind, markup in OFFICE.items():
        if markup.part in names and ("[Content_Types].xml" in names or "mimetype" in names):
            return kind
    if "META-INF/container.xml" in names and "mimetype" in names:
        return "epub"
    for name, what in UNREAD_KINDS.items():
        if name in names:
            raise DataError(f"{what}, which is not read")
    return "zip"


def open_zip_member(archive: zipfile.ZipFile, member: str | zipfile.ZipInfo, origin: Origin) -> Stream:
    """Return the content of a member, counted; DataError when it is missing, locked or damaged."""
    try:
        info = archive.getinfo(member) if isinstance(member, str) else member
        if info.flag_bits & 1:
            raise DataError("locked by a password")
        stream = archive.open(info)
    except KeyError:
        raise DataError(f"damaged: {member} is missing") from None
    except (*BROKEN, RuntimeError, ValueError, struct.error) as error:
        raise DataError(f"damaged zip member ({error})") from None
    return Unpacked(stream, lambda: info.compress_size, origin.limits, origin.budget)


def iter_zip(archive: zipfile.ZipFile, origin: Origin) -> Iterator[Member | Unreadable]:
    """Yield the files of a zip in their order there."""
    for info in archive.infolist():
        if info.is_dir() or is_hidden(info.filename):
            continue
        inside = origin.inside(printable(info.filename))
        if leaves_folder(info.filename):
            yield Unreadable(inside.name, "a name that leads out of the archive")
        elif (info.external_attr >> 28) == 0o12:
            yield Unreadable(inside.name, "a link, not followed")
        else:
            try:
                yield Member(inside, open_zip_member(archive, info, inside))
            except DataError as error:
                yield Unreadable(inside.name, error.what)


def iter_tar(stream: Stream, origin: Origin) -> Iterator[Member | Unreadable]:
    """Yield the files of a tar in their order there."""
    paced = Paced(stream)
    count = 0
    try:
        with tarfile.open(fileobj=paced, mode="r|", bufsize=TAR_BLOCK) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType] - asks for read only
            while (info := archive.next()) is not None:
                archive.members = []  # it would remember each
                count += 1
                if count > origin.limits.members:
                    raise DataError(f"more than {origin.limits.members:,} files in it")
                paced.allowed_bytes = None
                yield from _read_tar_member(archive, info, origin)
                paced.allowed_bytes = TAR_HEADER_BYTES
            _check_end(archive.fileobj)
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise DataError(f"damaged tar ({error})") from None


def _read_tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo, origin: Origin) -> Iterator[Member | Unreadable]:
    """Yield the member and read what is left of it, or say why it is none."""
    if info.isdir() or is_hidden(info.name):
        content = archive.extractfile(info) if info.isreg() else None
    else:
        inside = origin.inside(printable(info.name))
        fault = _fault_of(info)
        content = archive.extractfile(info) if info.isreg() and not info.issparse() else None
        if fault or content is None:
            yield Unreadable(inside.name, fault or "neither a file nor a folder")
        else:
            yield Member(inside, content)
    while content is not None and content.read(TAR_BLOCK):
        pass


def _fault_of(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "a link, not followed"
    if not info.isreg():
        return "neither a file nor a folder (a pipe or device)"
    if info.issparse():
        return "a sparse file, which unpacks to far more than it is"
    return "a name that leads out of the archive" if leaves_folder(info.name) else ""


def _check_end(rest: Any) -> None:
    """Raise DataError when something but zeros follows: tarfile takes a damaged header for the end."""
    while rest is not None and (block := rest.read(TAR_BLOCK)):
        if block.strip(b"\0"):
            raise DataError("damaged tar: the rest of it is not read")


def leaves_folder(name: str) -> bool:
    """Return whether a member's name is absolute or leads out by `..`.

    >>> leaves_folder("/etc/passwd"), leaves_folder("a/../../b"), leaves_folder("a/..b.txt")
    (True, True, False)
    """
    path = posixpath.normpath(name.replace("\\", "/"))
    return path.startswith(("/", "../")) or path == ".." or bool(re.match(r"[A-Za-z]:", path))


def is_hidden(name: str) -> bool:
    """Return whether a file or a folder above it is hidden (.git) or a by-product of macOS."""
    folders = name.replace("\\", "/").split("/")
    return any((part.startswith(".") and part not in (".", "..")) or part == "__MACOSX" for part in folders)


def printable(name: str) -> str:
    """Return a member's name as it may be shown: control characters and stray bytes as question marks."""
    shown = name.encode(errors="replace").decode()
    return "".join(char if char.isprintable() else "?" for char in shown)[:500]


def _directory_bytes(file: File) -> int:
    """Return the size of the list of members that the end of a zip tells, 0 when there is none."""
    file.seek(0, 2)
    size = file.tell()
    file.seek(max(0, size - (1 << 16) - 22))
    tail = file.read()
    file.seek(0)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        return 0
    told = struct.unpack_from("<L", tail, at + 12)[0]
    large = tail.rfind(b"PK\6\6", 0, at)
    if told == 0xFFFFFFFF and large >= 0 and len(tail) >= large + 48:
        return struct.unpack_from("<Q", tail, large + 40)[0]
    return told

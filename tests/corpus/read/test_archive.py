"""Archives give their members in order; names that lead out, links and locked ones are told."""

import io
import tarfile
import zipfile

import pytest

from dozero.corpus.read.archive import (
    Member,
    find_kind,
    is_hidden,
    iter_tar,
    iter_zip,
    leaves_folder,
    open_zip,
    open_zip_member,
    printable,
)
from dozero.corpus.read.limits import Budget, Limits, Unreadable
from dozero.corpus.read.origin import Origin
from dozero.errors import DataError

LIMITS = Limits(members=5)


def origin():
    return Origin("a.zip", "", "", "text", LIMITS, Budget(10**9))


def zip_of(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, name.encode())
    return buffer


def test_members_come_in_order_with_their_content():
    archive = open_zip(zip_of("b.txt", "a/", "a/c.txt", ".hidden"), origin())
    read = [(m.origin.name, m.stream.read()) for m in iter_zip(archive, origin()) if isinstance(m, Member)]
    assert read == [("a.zip!b.txt", b"b.txt"), ("a.zip!a/c.txt", b"a/c.txt")]


def test_too_many_members_are_refused():
    with pytest.raises(DataError, match="more than 5 files"):
        open_zip(zip_of(*map(str, range(6))), origin())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for n in range(6):
            archive.addfile(tarfile.TarInfo(str(n)))
    with pytest.raises(DataError, match="more than 5 files"):
        list(iter_tar(io.BytesIO(buffer.getvalue()), origin()))


def test_a_locked_member_is_told():
    buffer = zip_of("a.txt")
    data = bytearray(buffer.getvalue())
    data[6] |= 1  # the flag of encryption, in the member's header and in the directory
    data[data.index(b"PK\1\2") + 8] |= 1
    archive = open_zip(io.BytesIO(bytes(data)), origin())
    assert [m.what for m in iter_zip(archive, origin()) if isinstance(m, Unreadable)] == ["locked by a password"]


def test_kinds_are_told_by_what_is_inside():
    kinds = {("[Content_Types].xml", "word/document.xml"): "docx", ("mimetype", "content.xml"): "odt", ("a.txt",): "zip",
             ("mimetype", "META-INF/container.xml"): "epub"}  # fmt: skip
    for names, kind in kinds.items():
        assert find_kind(open_zip(zip_of(*names), origin())) == kind
    with pytest.raises(DataError, match="a spreadsheet"):
        find_kind(open_zip(zip_of("xl/workbook.xml"), origin()))
    with pytest.raises(DataError, match="is missing"):
        open_zip_member(open_zip(zip_of("a"), origin()), "b", origin())


def test_names_are_judged_and_made_printable():
    assert [leaves_folder(n) for n in ("a/b", "C:\\x", "..", "a/../..", "\\\\host")] == [False, True, True, True, True]
    assert [is_hidden(n) for n in ("a/.b/c", "./a", "a/__MACOSX/b")] == [True, False, True]
    assert printable("a\n\x1b[31mb") == "a??[31mb"


def test_a_damaged_tar_says_so():
    """tarfile takes a damaged header past the first for the end: the member behind it would be lost in silence."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("a.txt", "b.txt"):
            info = tarfile.TarInfo(name)
            info.size = 2000
            archive.addfile(info, io.BytesIO(b"x" * 2000))
    broken = bytearray(buffer.getvalue())
    broken[2560:2570] = b"garbagegar"
    with pytest.raises(DataError, match="damaged tar"):
        list(iter_tar(io.BytesIO(bytes(broken)), origin()))

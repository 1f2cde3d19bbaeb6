"""Encryption at rest: every file of a log directory under one key, read in memory.

AES-256-GCM over parts of a mebibyte, as in STREAM (Hoang, Reyhanitabar, Rogaway & Vizár 2015,
Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance): a part's nonce is its number
and whether it is the last one, so that no part can be changed, moved or cut off. Each file has a
key of its own, HKDF-SHA256 of the secret key, a random salt and the file's name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from mdp.errors import BadInput, BadLog

ENDING = ".enc"
_MAGIC = b"pushwise encrypted 1\n"
_SALT, _PART, _TAG = 16, 1 << 20, 16
_key: ContextVar[bytes | None] = ContextVar("key of encrypted logs", default=None)


@contextmanager
def reading_with(key: bytes) -> Iterator[None]:
    """Encrypted logs are read with this key in the context."""
    token = _key.set(key)
    try:
        yield
    finally:
        _key.reset(token)


def is_encrypted(path: Path) -> bool:
    """Whether a directory holds encrypted files."""
    return path.is_dir() and any(path.glob(f"*{ENDING}"))


def opened(file: Path) -> bytes:
    """What an encrypted file holds; raises `BadLog` without the key, or for a wrong one."""
    key = _key.get()
    if key is None:
        raise BadLog(
            f"{file.parent} is encrypted: give its key (`pushwise --log-key FILE COMMAND …`), or "
            f"decrypt it (`pushwise decrypt {file.parent} OUT --key-file FILE`)"
        )
    return decrypted(file.read_bytes(), file.name.removesuffix(ENDING), key, str(file))


def content_of(file: Path) -> bytes | None:
    """Content of a log's file, or of its encrypted form; None where there is neither."""
    closed = file.with_name(file.name + ENDING)
    if file.exists():
        return file.read_bytes()
    return opened(closed) if closed.exists() else None


def encrypt_log(path: Path, key: bytes) -> list[str]:
    """Replace every file in a directory by its encrypted form; names of what was encrypted.

    A file goes only after its encrypted form is complete, so a kill loses nothing and doing it
    again goes on.
    """
    done = []
    for file in sorted(path.iterdir()):
        if file.is_file() and not file.is_symlink() and not file.name.endswith((ENDING, ".part")):
            part = file.with_name(f"{file.name}{ENDING}.part")
            part.write_bytes(encrypted(file.read_bytes(), file.name, key))
            os.replace(part, file.with_name(file.name + ENDING))
            file.unlink()
            done.append(file.name)
    return done


def decrypt_log(path: Path, out: Path, key: bytes) -> list[str]:
    """Write every encrypted file of a directory in plain into an empty one; their names."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is not an empty directory: choose another")
    plain = {}
    for file in sorted(path.glob(f"*{ENDING}")):
        name = file.name.removesuffix(ENDING)
        plain[name] = decrypted(file.read_bytes(), name, key, str(file))
        out.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(plain.pop(name))
    return sorted(file.name for file in out.iterdir()) if out.exists() else []


def encrypted(content: bytes, name: str, key: bytes) -> bytes:
    """A file's encrypted form."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt = os.urandom(_SALT)
    cipher = AESGCM(_key_of(key, salt, name))
    starts = range(0, max(len(content), 1), _PART)
    parts = [
        cipher.encrypt(_nonce(n, n == len(starts) - 1), content[start : start + _PART], None)
        for n, start in enumerate(starts)
    ]
    return b"".join([_MAGIC, salt, *parts])


def decrypted(content: bytes, name: str, key: bytes, where: str) -> bytes:
    """What an encrypted form holds; raises `BadLog` for another key, name or content."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    begin = len(_MAGIC) + _SALT
    if not content.startswith(_MAGIC) or len(content) < begin + _TAG:
        raise BadLog(f"{where} is no file that `pushwise encrypt` wrote, or it was cut off")
    cipher = AESGCM(_key_of(key, content[len(_MAGIC) : begin], name))
    starts = range(begin, len(content), _PART + _TAG)
    try:
        return b"".join(
            cipher.decrypt(
                _nonce(n, n == len(starts) - 1), content[start : start + _PART + _TAG], None
            )
            for n, start in enumerate(starts)
        )
    except InvalidTag as error:
        raise BadLog(
            f"{where} can't be decrypted: it is under another key, or it was changed"
        ) from error


def _key_of(key: bytes, salt: bytes, name: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt, f"pushwise log\n{name}".encode()).derive(key)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])

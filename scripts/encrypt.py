"""Encrypt a log directory at rest, in place: every file in it, under one key.

Afterwards any command reads the log with `pushwise --log-key FILE COMMAND …`, and none without.
Directories below it are left as they are. Keep the key apart: nothing can be read without it.
Example:

    head -c 32 /dev/urandom > key
    pushwise encrypt shop --key-file key
    pushwise --log-key key check shop
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """What to encrypt, under which key."""

    logs: Positional[Path]
    """directory of the log's tables"""
    key_file: Path
    """file with the secret key, at least 16 bytes"""


def run(args: Args) -> None:
    """Encrypts, and says which files."""
    from ingestion.encryption import encrypt_log, is_encrypted
    from ingestion.privacy import read_key
    from ingestion.read import is_log
    from mdp.errors import BadInput

    if not is_encrypted(args.logs) and not is_log(args.logs):
        raise BadInput(f"{args.logs} holds no log")
    key = read_key(args.key_file)
    if args.key_file.resolve().is_relative_to(args.logs.resolve()):
        raise BadInput(f"the key {args.key_file} lies in {args.logs}: keep it apart from the log")
    done = encrypt_log(args.logs, key)
    print(f"encrypted: {', '.join(done) or 'nothing, all of it was'}")
    below = sorted(each.name for each in args.logs.iterdir() if each.is_dir())
    if below:
        print(f"left as they are: the directories {', '.join(below)}")

"""Write an encrypted log in plain into another directory.

Example:

    pushwise decrypt shop plain --key-file key
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """What to decrypt, where to, with which key."""

    logs: Positional[Path]
    """directory of the encrypted log"""
    out: Positional[Path]
    """empty directory for the plain one"""
    key_file: Path
    """file with the secret key"""


def run(args: Args) -> None:
    """Decrypts, and says which files."""
    from ingestion.encryption import decrypt_log, is_encrypted
    from ingestion.privacy import read_key
    from mdp.errors import BadInput

    if not is_encrypted(args.logs):
        raise BadInput(f"{args.logs} holds nothing that is encrypted")
    done = decrypt_log(args.logs, args.out, read_key(args.key_file))
    print(f"{args.out}: {', '.join(done)}")

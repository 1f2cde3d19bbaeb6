"""The policies that a store knows, each by a name that means one content for ever."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, select

from mdp.errors import BadArtifact, BadInput
from mdp.hashing import content_hash
from policies.saved import PolicyBundle, load_policy
from serving.access import audit
from serving.rows import upsert
from serving.store import put_setting, setting
from serving.tables import POLICIES


def registered(connection: Connection, name: str) -> tuple[Path, str]:
    """The directory of a policy and the hash of its content; raises `BadInput` for an unknown
    one."""
    path = connection.scalar(select(POLICIES.c.path).where(POLICIES.c.name == name))
    if path is None:
        raise BadInput(f"there is no policy {name!r} in the store")
    return Path(path), setting(connection, content_of(name))


def as_added(path: Path, added: str) -> PolicyBundle:
    """The policy in a directory; raises `BadArtifact` unless its content is what was added."""
    bundle = load_policy(path)
    if content_hash(bundle.manifest) != added:
        raise BadArtifact(
            f"{path} was changed since it was added: put back what it held, and add what it holds "
            "now under another name"
        )
    return bundle


def content_of(name: str) -> str:
    """The setting that holds the hash of a policy's content."""
    return f"policy:{name}"


class Saved(NamedTuple):
    """A saved policy and the directory that it lies in."""

    path: Path
    bundle: PolicyBundle


def saved_policy(path: Path) -> Saved:
    """The policy that lies in a directory; raises `BadArtifact` for one that can't be loaded. That
    may take seconds, so outside the transactions that others wait for."""
    path = path.resolve()
    return Saved(path, load_policy(path))


def add_policy(connection: Connection, saved: Saved, now: int, who: str, move: bool = True) -> str:
    """Make a saved policy known to the store by its directory's name, which means this content for
    ever: logs, kill switches and experiments tell policies by their names. Adding the same again
    changes nothing, or where it lies.

    move: have one that is known lie here from now on. Raises `BadInput` where the name means
    another.
    """
    path, bundle = saved
    name, content = path.name, content_hash(bundle.manifest)
    if setting(connection, content_of(name), content) != content:
        raise BadInput(
            f"the store knows another policy by the name {name!r}: save this one under another "
            f"name, such as {name}-2, and add that"
        )
    row = {"name": name, "path": str(path), "hash": bundle.hash, "added_at": now}
    found = connection.execute(select(POLICIES).where(POLICIES.c.name == name)).mappings().first()
    if found is None or (move and found["path"] != row["path"]):
        upsert(connection, POLICIES, [row])
        put_setting(connection, content_of(name), content)
        audit(connection, now, who, "add policy", {"name": name, "path": str(path)})
    return name


def named_policy(connection: Connection, given: Path) -> Saved:
    """The policy that a command names: by its directory, or by its name where it was added.

    Raises `BadArtifact` for one that can't be loaded or was changed since it was added, `BadInput`
    for an unknown name.
    """
    if given.is_dir():
        return saved_policy(given)
    try:
        path, added = registered(connection, str(given))
    except BadInput as error:
        raise BadInput(f"{given} is no directory, and {error}") from error
    return Saved(path, as_added(path, added))

"""API keys of a server: make one, revoke one, list them.

A key is printed once, and stored hashed. Scopes are decide, ingest, read, metrics and operate:
what each may do stands in docs/production.md. A server takes a new or revoked key into account
within a second. Example:

    pushwise keys --store sqlite:///pushwise.sqlite --create app --scopes decide,ingest
    pushwise keys --store sqlite:///pushwise.sqlite --create prometheus --scopes metrics
    pushwise keys --store sqlite:///pushwise.sqlite --revoke app
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Args:
    """Which store, and what to do (default: list the keys)."""

    store: str
    """the store, such as sqlite:///pushwise.sqlite"""
    create: str | None = None
    """name of a key to make"""
    scopes: str = "decide,ingest,read"
    """what the new key may do, separated by commas"""
    revoke: str | None = None
    """name of a key to refuse from now on"""


def run(args: Args) -> None:
    """Makes, revokes, lists."""
    from sqlalchemy import select

    from mdp.errors import BadInput
    from serving.access import audit, create_key, revoke_key
    from serving.clocks import wall_clock
    from serving.schemas import iso
    from serving.store import open_store, writing
    from serving.tables import API_KEYS

    if args.create is not None and args.revoke is not None:
        raise BadInput("give either --create or --revoke")
    engine = open_store(args.store, make=args.create is not None)
    try:
        with writing(engine) as connection:
            now = wall_clock()
            if args.create is not None:
                scopes = [scope.strip() for scope in args.scopes.split(",") if scope.strip()]
                key = create_key(connection, args.create, scopes, now)
                audit(connection, now, "command line", "create key", {"name": args.create})
            if args.revoke is not None:
                revoke_key(connection, args.revoke, now)
                audit(connection, now, "command line", "revoke key", {"name": args.revoke})
            rows = connection.execute(select(API_KEYS).order_by(API_KEYS.c.name)).all()
    finally:
        engine.dispose()
    if args.create is not None:
        print(key)
        return
    for row in rows:
        state = "in force" if row.revoked_at is None else f"revoked {iso(row.revoked_at)}"
        print(f"{row.name}  {','.join(row.scopes)}  made {iso(row.created_at)}  {state}")

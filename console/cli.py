"""The command line: the same operations as the console's pages. `make help` lists them.

A command's module is loaded when it is called: boto3, psycopg and SQLAlchemy together take two
seconds, and `--help` needs none of them.
"""

from __future__ import annotations

import importlib
import sys

# Which module of console.commands has a command
COMMANDS = {
    "bootstrap": "terraform",
    "preflight": "preflight",
    "plan": "terraform",
    "apply": "terraform",
    "destroy": "terraform",
    "unlock": "terraform",
    "outputs": "terraform",
    "env": "terraform",
    "deployer-policy": "deployer_policy",
    "status": "status",
    "doctor": "doctor",
    "accept": "acceptance",
    "logs": "logs",
    "releases": "releases",
    "release": "releases",
    "promote": "releases",
    "back": "releases",
    "upload": "avatars",
    "clear": "avatars",
    "lock-user": "avatars",
    "unlock-user": "avatars",
    "review": "moderation",
    "approve": "moderation",
    "refuse": "moderation",
    "invalidate": "avatars",
    "export": "accounts",
    "erase": "accounts",
    "legal-hold": "accounts",
    "release-legal-hold": "accounts",
    "redrive": "queue",
    "discard": "queue",
    "reconcile": "queue",
    "reprocess": "queue",
    "migrate": "database",
    "rollback": "database",
    "migration": "database",
    "migrations": "database",
    "preview": "database",
    "rehearse": "database",
    "adopt": "database",
    "drift": "database",
    "rotate-login": "database",
    "seed": "database",
}


def main() -> None:
    """Run the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    module = COMMANDS.get(name)
    if module is None:
        asked = name in {"", "--help", "-h"}
        print(
            f"usage: python -m console.cli COMMAND [OPTIONS]\n\ncommands: {', '.join(COMMANDS)}\n\n"
            "`COMMAND --help` shows its options, `make help` says what each is for.",
            file=sys.stdout if asked else sys.stderr,
        )
        sys.exit(0 if asked else f"error: There is no command {name!r}.")
    importlib.import_module(f"console.commands.{module}").app(prog_name="console.cli")


if __name__ == "__main__":
    main()

"""Answers of raters in a SQLite file: each is on disk before the rater is told so, and none is ever half there."""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipelines.rate.study import Study
from rainsynth.checks import InputError

APPLICATION_ID = 0x7261696E  # "rain", in the header of our files
SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 10.0  # how long a write waits for another process's
SECRET_BYTES = 16
SCHEMA = """
CREATE TABLE study (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE answers (
    rater TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 0),
    kind TEXT NOT NULL CHECK (kind IN ('pair', 'attention', 'repeat')),
    picture TEXT NOT NULL,
    method_left TEXT NOT NULL,
    method_right TEXT NOT NULL,
    worse TEXT NOT NULL CHECK (worse IN ('', 'left', 'right')),
    answer TEXT NOT NULL CHECK (answer IN ('left', 'right', 'tie')),
    seconds REAL NOT NULL CHECK (seconds >= 0),
    time TEXT NOT NULL,
    PRIMARY KEY (rater, number)
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of one rater.

    number    place in the rater's plan, from 0
    kind      "pair", "attention" (a picture against a worse copy of itself) or "repeat" (asked before, sides swapped)
    worse     the side of the worse copy in an attention check, "" otherwise
    answer    the better side, "left" or "right", or "tie"
    seconds   from both pictures being shown to the answer
    time      of the answer, UTC, ISO 8601
    """

    rater: str
    number: int
    kind: str
    picture: str
    method_left: str
    method_right: str
    worse: str
    answer: str
    seconds: float
    time: str


COLUMNS = tuple(field.name for field in fields(Answer))


class RatingStore:
    """The file of one study. WAL and synchronous=FULL: what was acknowledged survives kill -9 and loss of power."""

    def __init__(self, path: Path, study: Study | None = None) -> None:
        """Open the file of a study; with `study`, make it if it is not there, and refuse another study's."""
        if study is None and not path.is_file():
            raise InputError(f"--scores must be a file of ratings, got {str(path)!r}. Does it exist?")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _connect(path, "rw" if study is None else "rwc")
        try:
            self.study, self.secret = self._open(path, study)
        except sqlite3.DatabaseError as error:
            self._file.close()
            raise InputError(f"{path} must be a file of ratings, got: {error}. Take another --out.") from None
        except BaseException:
            self._file.close()
            raise

    def _open(self, path: Path, study: Study | None) -> tuple[Study, bytes]:
        if study is not None:
            self._create(study)
        names = ("application_id", "user_version")
        found = tuple(self._file.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        if found != (APPLICATION_ID, SCHEMA_VERSION):
            raise InputError(f"{path} must be a file of ratings of version {SCHEMA_VERSION}, got another file.")
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=FULL")
        stored, secret = self._read_study()
        if study is not None:
            _check_same_study(path, stored, study)
        return stored, secret

    def _create(self, study: Study) -> None:
        """Make the tables in a file that is empty; two processes at once make them once."""
        self._file.execute("BEGIN IMMEDIATE")
        if not self._file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in SCHEMA.split(";"):
                self._file.execute(statement)
            # Not from the seed: whoever knows the seed must not be able to tell methods by their pictures' addresses.
            facts = asdict(study) | {"secret": secrets.token_hex(SECRET_BYTES)}
            self._file.executemany(
                "INSERT INTO study VALUES (?, ?)", [(name, json.dumps(value)) for name, value in facts.items()]
            )
            self._file.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self._file.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._file.execute("COMMIT")

    def _read_study(self) -> tuple[Study, bytes]:
        facts: dict[str, Any] = {
            name: json.loads(value) for name, value in self._file.execute("SELECT name, value FROM study")
        }
        secret = bytes.fromhex(facts.pop("secret"))
        study: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
        return Study(**study), secret

    def answered(self, rater: str) -> int:
        """How many answers a rater has given: also the number of the next."""
        return int(self._file.execute("SELECT count(*) FROM answers WHERE rater = ?", (rater,)).fetchone()[0])

    def add(self, answer: Answer) -> bool:
        """Store an answer if it is the rater's next; False if it is not, such as one that came twice."""
        marks = ", ".join("?" * len(COLUMNS))
        stored = self._file.execute(
            f"INSERT INTO answers ({', '.join(COLUMNS)}) SELECT {marks}"
            " WHERE (SELECT count(*) FROM answers WHERE rater = ?) = ?",
            [*(getattr(answer, name) for name in COLUMNS), answer.rater, answer.number],
        )
        return stored.rowcount == 1

    def undo(self, rater: str, number: int) -> bool:
        """Take back answer `number` if it is the rater's last; False if it is not."""
        removed = self._file.execute(
            "DELETE FROM answers WHERE rater = ? AND number = ?"
            " AND number = (SELECT max(number) FROM answers WHERE rater = ?)",
            (rater, number, rater),
        )
        return removed.rowcount == 1

    def answers(self) -> list[Answer]:
        """All answers, by rater and number."""
        rows = self._file.execute(f"SELECT {', '.join(COLUMNS)} FROM answers ORDER BY rater, number")
        return [Answer(**dict(zip(COLUMNS, row, strict=True))) for row in rows]

    def close(self) -> None:
        """Close the file; the write-ahead log is folded into it."""
        self._file.close()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"file:{quote(str(path.resolve()))}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,  # every statement is a transaction unless BEGIN is said
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise InputError(f"{path} must be a file of ratings that can be opened, got: {error}.") from None


def _check_same_study(path: Path, stored: Study, given: Study) -> None:
    options = {
        "methods": "folders", "pictures": "pictures", "comparisons": "--comparisons", "seed": "--seed",
        "attention_fraction": "--attention-checks", "repeat_fraction": "--repeats", "question": "--question",
        "reference": "--reference", "pictures_sha256": "contents of pictures",
    }  # fmt: skip
    for name, option in options.items():
        if getattr(stored, name) != getattr(given, name):
            raise InputError(
                f"{option} must be as when {path} was begun, where rating goes on, got others. "
                "Take another --out for a new study."
            )

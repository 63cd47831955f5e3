"""Where raters are served: what each is asked next, what an answer does, and which picture an address stands for."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from pipelines.rate.pictures import (
    RatedPicture,
    check_inside,
    method_names,
    picture_bytes,
    rated_pictures,
    sha256_of_pictures,
    worse_picture_bytes,
)
from pipelines.rate.store import Answer, RatingStore
from pipelines.rate.study import ATTENTION, LEFT, RIGHT, TIE, Comparison, Study, plan_of, rater_name
from rainsynth.checks import InputError, check_choice, check_count, check_number

REFERENCE = "reference"
ADDRESS_LETTERS = 32
MOST_ADDRESSES = 4096  # that can be asked for at one time: two comparisons of three pictures for each of many raters
MOST_PLANS = 64  # kept in memory; others are drawn again when needed
LONGEST_ANSWER_S = 86400.0
WORSE_COPY = "worse copy of "

Picture = Callable[[], tuple[bytes, str]]  # gives its bytes and their media type


def open_room(folders: list[Path], out: Path, reference: Path | None = None, **options: Any) -> RatingRoom:
    """The room of a new study, or of the one that `out` holds if all is as it was then; `options` are Study's."""
    methods = method_names(folders)
    pictures = rated_pictures(folders, reference)
    study = Study(
        methods=methods,
        pictures=tuple(picture.name for picture in pictures),
        reference=reference is not None,
        pictures_sha256=sha256_of_pictures(pictures),
        **options,
    )
    return RatingRoom(RatingStore(out, study), pictures, [*folders, *([reference] if reference else [])])


class RatingRoom:
    """Asks raters, takes their answers, and hands out pictures by addresses that tell nothing about methods."""

    def __init__(self, store: RatingStore, pictures: tuple[RatedPicture, ...], folders: list[Path]) -> None:
        self.store, self.study = store, store.study
        self._pictures, self._folders = pictures, folders
        self._shown: OrderedDict[str, Picture] = OrderedDict()
        self._plan = lru_cache(maxsize=MOST_PLANS)(partial(plan_of, self.study))

    def state(self, rater: str) -> dict[str, Any]:
        """What a rater sees now: how far they are, what they are asked, and the pictures to fetch ahead."""
        rater = rater_name(rater)
        plan, done = self._plan(rater), self.store.answered(rater)
        now, ahead = (self._asked(rater, plan, number) for number in (done, done + 1))
        return {
            "rater": rater,
            "question": self.study.question,
            "done": done,
            "total": len(plan),
            "comparison": now,
            "ahead": [ahead[side] for side in (LEFT, RIGHT, REFERENCE) if ahead[side]] if ahead else [],
        }

    def answer(self, rater: str, number: int, answer: str, seconds: float) -> dict[str, Any]:
        """Take an answer, and say what comes next. One that came before, or out of turn, changes nothing."""
        rater = rater_name(rater)
        check_choice(answer, (LEFT, RIGHT, TIE), "answer")
        check_number(seconds, 0, LONGEST_ANSWER_S, "seconds")
        plan = self._plan(rater)
        check_count(number, 0, len(plan) - 1, "number")
        asked = plan[number]
        self.store.add(
            Answer(
                rater=rater,
                number=number,
                kind=asked.kind,
                picture=self.study.pictures[asked.picture],
                method_left=self._method(asked, LEFT),
                method_right=self._method(asked, RIGHT),
                worse=asked.worse,
                answer=answer,
                seconds=round(float(seconds), 3),
                time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            )
        )
        return self.state(rater)

    def undo(self, rater: str, number: int) -> dict[str, Any]:
        """Take back answer `number`, a rater's last, and ask it again."""
        rater = rater_name(rater)
        check_count(number, 0, len(self._plan(rater)), "number")
        self.store.undo(rater, number)
        return self.state(rater)

    def picture(self, address: str) -> Picture | None:
        """What gives the bytes of the picture at an address that someone is shown now, or None."""
        return self._shown.get(address)

    def _method(self, asked: Comparison, side: str) -> str:
        name = self.study.methods[asked.left if side == LEFT else asked.right]
        return WORSE_COPY + name if asked.worse == side else name

    def _asked(self, rater: str, plan: tuple[Comparison, ...], number: int) -> dict[str, Any] | None:
        """Comparison `number` for the page, its pictures' addresses made known; None after the last."""
        if number >= len(plan):
            return None
        picture = self._pictures[plan[number].picture]
        addresses = {side: self._address(rater, number, side) for side in (LEFT, RIGHT, REFERENCE)}
        for side in (LEFT, RIGHT):
            self._show(addresses[side], partial(self._bytes, picture, plan[number], side))
        if picture.reference is None:
            return {"number": number, **addresses, REFERENCE: None}
        self._show(addresses[REFERENCE], partial(picture_bytes, self._inside(picture.reference), picture.media_type))
        return {"number": number, **addresses}

    def _address(self, rater: str, number: int, side: str) -> str:
        """Address of one side of one comparison: the same again after a restart, and no guess without the secret."""
        message = f"{rater}\0{number}\0{side}".encode()
        return hmac.new(self.store.secret, message, hashlib.sha256).hexdigest()[:ADDRESS_LETTERS]

    def _show(self, address: str, picture: Picture) -> None:
        self._shown[address] = picture
        self._shown.move_to_end(address)
        while len(self._shown) > MOST_ADDRESSES:
            self._shown.popitem(last=False)

    def _bytes(self, picture: RatedPicture, asked: Comparison, side: str) -> tuple[bytes, str]:
        path = self._inside(picture.files[asked.left if side == LEFT else asked.right])
        if asked.worse == side:
            return worse_picture_bytes(path)
        return picture_bytes(path, "" if asked.kind == ATTENTION else picture.media_type)

    def _inside(self, path: Path) -> Path:
        """The path, unless it has become a link out of its folder since the start."""
        for folder in self._folders:
            if path.is_relative_to(folder):
                check_inside(path, folder)
                return path
        raise InputError(f"{path} must lie in one of the folders.")

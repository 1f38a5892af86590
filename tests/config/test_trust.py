"""The installation's key, and what is derived from it."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept.errors import ConfigError, StoreError
from wellkept.secrets import Resolver, Secret
from wellkept.store import open_store
from wellkept.trust import InstallationKey, KeySigner, address_form, key_is_known, open_key, remember_key

KEY = InstallationKey(b"k" * 32)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def resolver(base: Path) -> Resolver:
    return Resolver(base, lambda _value: None)


def test_a_missing_key_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    secret = Secret("file:deep/wellkept.key")
    first = open_key(secret, resolver(tmp_path), create=True)
    path = tmp_path / "deep" / "wellkept.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode(path.read_text())) == 32
    assert open_key(secret, resolver(tmp_path), create=True).derive("x") == first.derive("x")
    assert [item.name for item in path.parent.iterdir()] == ["wellkept.key"]


def test_of_many_that_make_the_key_at_once_all_get_the_same(tmp_path: Path) -> None:
    barrier, derived = threading.Barrier(8), []

    def work() -> None:
        barrier.wait()
        derived.append(open_key(Secret("file:k"), resolver(tmp_path), create=True).derive("x"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(derived) == 8
    assert len(set(derived)) == 1


def test_a_lost_key_is_not_silently_replaced(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is gone, and the store was made with it"):
        open_key(Secret("file:k"), resolver(tmp_path), create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", ["short", "not base64 at all, but long enough to be one", base64.b64encode(b"x" * 31).decode()]
)
def test_a_weak_key_is_refused_without_an_echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("THE_KEY", content)
    with pytest.raises(ConfigError, match="openssl rand") as caught:
        open_key(Secret("env:THE_KEY"), resolver(tmp_path), create=True)
    assert content not in str(caught.value)


def test_a_key_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", base64.b64encode(b"k" * 32).decode() + "\n")
    assert open_key(Secret("env:THE_KEY"), resolver(tmp_path), create=False).derive("x") == KEY.derive("x")
    with pytest.raises(ConfigError, match="cannot come from a provider"):
        open_key(Secret("vault:x"), resolver(tmp_path), create=True)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made"):
        open_key(Secret("file:file/k"), resolver(tmp_path), create=True)


def test_the_store_knows_its_key(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s.db")
    try:
        with store.read() as reader:
            assert not key_is_known(reader)
        store.write_now(lambda tx: remember_key(tx, KEY))
        store.write_now(lambda tx: remember_key(tx, KEY))
        with store.read() as reader:
            assert key_is_known(reader)
            assert KEY.derive("fingerprint") not in str(reader.all("SELECT value FROM meta")).encode()
        with pytest.raises(StoreError, match="belongs to another installation key"):
            store.write_now(lambda tx: remember_key(tx, InstallationKey(b"other" * 8)))
    finally:
        store.close()


def test_derived_keys_depend_on_purpose_and_key_alone() -> None:
    assert KEY.derive("a") == InstallationKey(b"k" * 32).derive("a")
    assert len({KEY.derive("a"), KEY.derive("b"), InstallationKey(b"l" * 32).derive("a")}) == 3
    assert len(KEY.derive("a")) == 32
    assert "k" * 8 not in repr(KEY)


def test_derivation_is_hkdf() -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    expected = HKDF(SHA256(), 32, b"wellkept/installation/1", b"some purpose").derive(b"k" * 32)
    assert KEY.derive("some purpose") == expected


@given(TEXTS, TEXTS)
def test_a_signature_carries_its_text_and_is_bound_to_key_scope_and_purpose(purpose: str, text: str) -> None:
    signer = KeySigner(KEY, "smtp")
    token = signer.sign(purpose, text)
    assert token.replace("-", "").replace("_", "").replace(".", "").isalnum()
    assert signer.verify(purpose, token, now=0) == text
    assert signer.verify(purpose + "x", token, now=0) is None
    assert KeySigner(KEY, "other").verify(purpose, token, now=0) is None
    assert KeySigner(InstallationKey(b"l" * 32), "smtp").verify(purpose, token, now=0) is None


def test_scope_and_purpose_cannot_be_shifted_into_each_other() -> None:
    token = KeySigner(KEY, "a").sign("b/c", "x")
    assert KeySigner(KEY, "a/b").verify("c", token, now=0) is None


@given(st.data(), TEXTS)
def test_a_token_that_was_touched_is_refused(data: st.DataObject, text: str) -> None:
    signer = KeySigner(KEY, "s")
    token = signer.sign("p", text, expires_at=1000)
    index = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABab01-_.é ").filter(lambda char: char != token[index]))
    assert signer.verify("p", token[:index] + other + token[index + 1 :], now=0) is None
    assert signer.verify("p", token[:-1], now=0) is None
    assert signer.verify("p", token + "=", now=0) is None


@given(st.text(max_size=40))
def test_nonsense_is_no_token_and_no_crash(token: str) -> None:
    assert KeySigner(KEY, "s").verify("p", token, now=0) is None


def test_an_expired_token_is_refused_and_its_expiry_is_signed() -> None:
    signer = KeySigner(KEY, "s")
    token = signer.sign("p", "x", expires_at=1000)
    assert signer.verify("p", token, now=999) == "x"
    assert signer.verify("p", token, now=1000) is None
    body, _, mac = token.rpartition(".")
    assert signer.verify("p", f"{body.replace('1000', '9000')}.{mac}", now=999) is None
    assert signer.verify("p", signer.sign("p", "x"), now=10**15) == "x"


def test_keyed_hashes_are_equal_for_equal_texts_only() -> None:
    assert KEY.keyed_hash("a") == KEY.keyed_hash("a")
    assert KEY.keyed_hash("a") != KEY.keyed_hash("b")
    assert KEY.keyed_hash("a") != InstallationKey(b"l" * 32).keyed_hash("a")
    assert len(KEY.keyed_hash("\ud800")) == 64


@pytest.mark.parametrize(
    ("spelt", "form"),
    [
        (" Ada@Example.COM ", "ada@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("not an address", "not an address"),
        ("a@" + "x" * 80 + ".example", "a@" + "x" * 80 + ".example"),
    ],
)
def test_all_spellings_of_an_address_have_one_form(spelt: str, form: str) -> None:
    assert address_form(spelt) == form

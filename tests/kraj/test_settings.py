"""Settings: variables over the file over defaults, and every mistake is named with its remedy."""

import os
from pathlib import Path

import pytest

from kraj.errors import ConfigurationError
from kraj.settings import Settings, load


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("KRAJ_")]:
        monkeypatch.delenv(name)


def config(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str | bytes) -> None:
    file = folder / "kraj.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    monkeypatch.setenv("KRAJ_CONFIG", str(file))


def test_without_anything_set_every_setting_has_its_default() -> None:
    settings = load()
    assert (settings.mqtt_host, settings.mqtt_port, settings.ingest_slot) == ("127.0.0.1", 1883, "slot_0")
    assert settings.database_url is None
    assert settings.api_host == "127.0.0.1", "nothing without sign-in may be open to others by default"


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config(monkeypatch, tmp_path, 'mqtt_host = "file"\nmqtt_port = 2\n')
    monkeypatch.setenv("KRAJ_MQTT_HOST", "variable")
    settings = load()
    assert (settings.mqtt_host, settings.mqtt_port, settings.api_port) == ("variable", 2, 8080)


def test_what_the_caller_says_wins_over_all_and_none_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAJ_MQTT_HOST", "variable")
    monkeypatch.setenv("KRAJ_MQTT_PORT", "3")
    settings = load(mqtt_host="caller", mqtt_port=None)
    assert (settings.mqtt_host, settings.mqtt_port) == ("caller", 3)


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAJ_DATABASE_URL", "")
    monkeypatch.setenv("KRAJ_MQTT_PORT", "")
    assert (load().database_url, load().mqtt_port) == (None, 1883)


def test_an_unknown_variable_is_named_with_those_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAJ_MQTT_PROT", "1884")
    with pytest.raises(ConfigurationError, match=r"unknown setting KRAJ_MQTT_PROT; known are .*KRAJ_MQTT_PORT"):
        load()


def test_an_unknown_key_in_the_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config(monkeypatch, tmp_path, "mqtt_prot = 1884\n")
    with pytest.raises(ConfigurationError, match="KRAJ_MQTT_PROT: Extra inputs are not permitted"):
        load()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("KRAJ_MQTT_PORT", "mqtt", "valid integer"),
        ("KRAJ_MQTT_PORT", "65536", "less than or equal to 65535"),
        ("KRAJ_API_PORT", "-1", "greater than or equal to 0"),
        ("KRAJ_INGEST_SLOT", "lamp-1", r"match pattern '\^slot_"),
        ("KRAJ_INGEST_WINDOW", "99", "greater than or equal to 100"),
        ("KRAJ_INGEST_LINGER_MS", "5000", "less than or equal to 1000"),
        ("KRAJ_INGEST_ACKNOWLEDGE_DEVICES", "perhaps", "valid boolean"),
        ("KRAJ_LOG_FORMAT", "xml", "text|json"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"{name}: .*{message}"):
        load()


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAJ_MQTT_PORT", "x")
    monkeypatch.setenv("KRAJ_API_PORT", "y")
    with pytest.raises(ConfigurationError, match=r"KRAJ_MQTT_PORT: .*; KRAJ_API_PORT: "):
        load()


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KRAJ_CONFIG", str(tmp_path / "nowhere.toml"))
    with pytest.raises(ConfigurationError, match=r"KRAJ_CONFIG names .*nowhere\.toml, which is not a file"):
        load()


@pytest.mark.parametrize("text", ["mqtt_port: 1883", 'mqtt_host = "', b"mqtt_host = '\xff'"])
def test_a_file_that_is_no_toml_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | bytes) -> None:
    config(monkeypatch, tmp_path, text)
    with pytest.raises(ConfigurationError, match=r"KRAJ_CONFIG: .*kraj\.toml cannot be read as TOML"):
        load()


def test_a_secret_shows_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAJ_DATABASE_URL", "postgresql://kraj:canary@db/kraj")
    settings = load()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://kraj:canary@db/kraj"
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "canary" not in shown


def test_a_mistake_elsewhere_does_not_show_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAJ_DATABASE_URL", "postgresql://kraj:canary@db/kraj")
    monkeypatch.setenv("KRAJ_MQTT_PORT", "x")
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert "canary" not in f"{caught.value}{caught.value.__cause__!r}"


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_says_what_it_is_for(field: str) -> None:
    assert (Settings.model_fields[field].description or "").endswith((".", ")."))


def test_settings_do_not_change_under_a_running_service() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().mqtt_port = 5  # pyright: ignore[reportAttributeAccessIssue]

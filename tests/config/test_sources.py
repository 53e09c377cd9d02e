"""Where a setting's value comes from, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pocketsphinx import Endpointer  # type: ignore[import-untyped]

from config.catalogue import catalogue
from config.ranges import RANGES, endpointer_problem
from config.server import open_log
from config.sources import DEFAULT, Loaded, SettingsError, load

LONG = "s" * 32


def _load(
    *, flags: dict[str, str] | None = None, environ: dict[str, str] | None = None, file: str | None = None
) -> Loaded:
    return load(flags=flags or {}, environ=environ or {}, file=file)


def _problem(
    *, flags: dict[str, str] | None = None, environ: dict[str, str] | None = None, file: str | None = None
) -> str:
    with pytest.raises(SettingsError) as raised:
        _load(flags=flags, environ=environ, file=file)
    assert len(raised.value.problems) == 1, str(raised.value)
    return str(raised.value)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "glasshouse.toml"
    path.write_text(
        'port = 1\nhost = "::1"\nlog_level = "debug"\n[display]\nthrottle_s = 1\n', encoding="utf-8"
    )
    return path


# ---------------------------------------------------------------------------------------------------------
# Order of sources


def test_without_any_source_the_defaults_hold() -> None:
    loaded = _load()

    assert (8002, DEFAULT) == (loaded.settings.port, loaded.sources["port"])
    assert 0.3 == loaded.settings.display.throttle_s
    assert 300.0 == loaded.settings.domain.session.phone_grace_s
    assert () == loaded.notices


def test_command_line_counts_more_than_environment_and_environment_more_than_file(toml: Path) -> None:
    loaded = _load(
        flags={"port": "3"},
        environ={
            "GLASSHOUSE_PORT": "2",
            "GLASSHOUSE_LOG_LEVEL": "error",
            "GLASSHOUSE_DISPLAY_THROTTLE_S": "0.5",
        },
        file=str(toml),
    )

    assert (3, "command line") == (loaded.settings.port, loaded.sources["port"])
    assert ("error", "environment GLASSHOUSE_LOG_LEVEL") == (
        loaded.settings.log_level,
        loaded.sources["log_level"],
    )
    assert 0.5 == loaded.settings.display.throttle_s
    assert ("::1", str(toml)) == (loaded.settings.host, loaded.sources["host"])


def test_one_value_of_a_group_leaves_the_others_at_their_defaults(toml: Path) -> None:
    loaded = _load(file=str(toml))

    assert 1.0 == loaded.settings.display.throttle_s
    assert 1.5 == loaded.settings.display.boot_screen_s
    assert DEFAULT == loaded.sources["display.boot_screen_s"]


def test_environment_can_name_the_file(toml: Path) -> None:
    assert 1 == _load(environ={"GLASSHOUSE_CONFIG": str(toml)}).settings.port


@pytest.mark.parametrize(
    ("variable", "name", "text"),
    [
        ("PORT", "port", "3001"),
        ("MONGODB_URI", "mongodb_uri", "mongodb://localhost"),
        ("ANTHROPIC_API_KEY", "anthropic_api_key", "key"),
        ("ANTHROPIC_BASE_URL", "anthropic_base_url", "http://localhost"),
        ("DEEPGRAM_API_KEY", "deepgram_api_key", "key"),
        ("PACKAGE_NAME", "soga.package_name", "com.example.a"),
        ("MENTRAOS_API_KEY", "soga.api_key", "key"),
        ("AUGMENTOS_AUTH_JWT_SECRET", "jwt_secret", LONG),
        ("SYSTEM_DASHBOARD_PACKAGE_NAME", "display.dashboard_package", "com.example.dashboard"),
    ],
)
def test_names_of_the_systems_before_are_understood(variable: str, name: str, text: str) -> None:
    loaded = _load(environ={variable: text})

    assert text == str(loaded.value(name))
    assert f"environment {variable}" == loaded.sources[name]


def test_own_name_counts_more_than_an_alias() -> None:
    assert 2 == _load(environ={"PORT": "1", "GLASSHOUSE_PORT": "2"}).settings.port


def test_the_short_name_for_local_peers_is_no_stranger() -> None:
    loaded = _load(environ={"GLASSHOUSE_WEBRTC_LOCAL": "1"})

    assert loaded.settings.domain.webrtc.allow_local
    assert not [notice for notice in loaded.notices if "WEBRTC" in notice]


@pytest.mark.parametrize(
    "server", ["nonsense", "turn:turn.example:3478", "stun:ada:secret@stun.example:3478"]
)
def test_an_ice_server_that_cannot_be_one_is_refused_and_its_password_not_shown(server: str) -> None:
    with pytest.raises(SettingsError) as refused:
        _load(flags={"webrtc.ice_servers": f"stun:a.example:3478,{server}"})

    assert "expected stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT" in str(refused.value)
    assert server not in str(refused.value)


def test_an_empty_variable_is_not_set() -> None:
    assert 8002 == _load(environ={"GLASSHOUSE_PORT": ""}).settings.port


def test_data_directory_is_the_users_own_unless_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))

    assert Path(_load().settings.data).is_relative_to(tmp_path)
    assert "/srv/glass" == _load(environ={"GLASSHOUSE_DATA": "/srv/glass"}).settings.data


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("1", True), ("YES", True), ("on", True), ("false", False), ("0", False)],
)
def test_a_switch_is_read_in_any_common_spelling(text: str, value: bool) -> None:
    assert value is _load(environ={"GLASSHOUSE_ALLOW_HTTP_APPS": text}).settings.allow_http_apps


# ---------------------------------------------------------------------------------------------------------
# Wrong values


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("port", "eighty", "a whole number, at least 0, at most 65535"),
        ("port", "65536", "at most 65535"),
        ("port", "tcp://10.0.0.1:8002", "a whole number"),
        ("display.throttle_s", "fast", "a number of seconds, at least 0"),
        ("display.throttle_s", "-0.1", "at least 0"),
        ("display.throttle_s", "nan", "a number"),
        ("display.throttle_s", "inf", "a number"),
        ("engine.max_message_bytes", "1.5", "a whole number of bytes"),
        ("log_level", "loud", "one of debug, info, warning, error"),
        ("allow_http_apps", "maybe", "true or false"),
        ("node_name", "East/1", "matching"),
        ("host", "", "1 characters or more"),
        ("public_url", "glasses.example.org", "http(s)://HOST"),
        ("public_url", "http://glasses.example.org", "https://"),
        ("public_url", "https://glasses.example.org:99999", "http(s)://HOST"),
        ("public_url", "https://ada@glasses.example.org", "without a user"),
        ("internal_url", "ftp://glasses", "http(s)://HOST"),
    ],
)
def test_wrong_value_is_named_with_its_source_and_what_was_expected(
    name: str, text: str, expected: str
) -> None:
    message = _problem(flags={name: text})

    assert f"wrong setting: {name} (from command line)" in message
    assert expected in message
    assert repr(text) in message


NUMBERS = [
    name
    for name, setting in catalogue().items()
    if isinstance(setting.default, int | float) and not isinstance(setting.default, bool)
]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_a_least_and_a_greatest_value_around_its_default(name: str) -> None:
    """A new one that fails here needs bounds: Meta in its struct, or an entry in config/ranges.py."""
    default = catalogue()[name].default

    assert f"{name} (from command line)" in _problem(flags={name: "-1"})
    assert f"{name} (from command line)" in _problem(flags={name: "1" + "0" * 18})
    assert default == _load(flags={name: str(default)}).value(name)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("pocketsphinx.vad_mode", "9", "at least 0, at most 3"),
        ("pocketsphinx.ratio", "3", "more than 0, less than 1"),
        ("pocketsphinx.ratio", "0.99", "with which speech begins and ends"),
        ("engine.max_message_bytes", "0", "a whole number of bytes, at least 262144"),
        ("engine.frames_per_turn", "0", "at least 1"),
        ("listener.waiting_heads", "0", "at least 1"),
        ("liveness.json_ping_s", "0", "at least 0.1"),
        ("lifecycle.start_attempts", "0", "at least 1"),
        ("lifecycle.probe_growth", "1.5", "at most 1"),
        ("keeper.start_s", "0", "more than 0"),
        ("watchdog_s", "1e300", "at most 31622400"),
    ],
)
def test_a_number_that_cannot_work_is_refused(name: str, text: str, expected: str) -> None:
    assert expected in _problem(flags={name: text})


def test_bounds_are_those_of_settings_there_are() -> None:
    assert set() == set(RANGES) - set(catalogue())


@pytest.mark.parametrize("window_s", [0.06, 0.1, 0.25, 1.0])
@pytest.mark.parametrize("ratio", [0.01, 0.3, 0.5, 0.75, 0.9, 0.99])
def test_a_window_and_a_ratio_are_refused_where_the_endpointer_refuses_them(
    window_s: float, ratio: float
) -> None:
    def accepted() -> bool:
        try:
            Endpointer(window=window_s, ratio=ratio)
        except ValueError:
            return False
        return True

    assert accepted() is (endpointer_problem(window_s, ratio) is None)


def test_wrong_value_in_the_environment_names_the_variable() -> None:
    assert "(from environment PORT)" in _problem(environ={"PORT": "x"})


def test_every_wrong_value_is_reported_at_once(toml: Path) -> None:
    toml.write_text('port = "x"\ncolour = 1\n[display]\nboot_screen = 2\n', encoding="utf-8")

    with pytest.raises(SettingsError) as raised:
        _load(
            flags={"log_level": "x", "nothing": "1"},
            environ={"GLASSHOUSE_ALLOW_HTTP_APPS": "x"},
            file=str(toml),
        )

    assert ["allow_http_apps", "colour", "display.boot_screen", "log_level", "nothing", "port"] == sorted(
        problem.setting for problem in raised.value.problems
    )


def test_unknown_name_in_a_file_is_an_error_with_the_nearest_one(toml: Path) -> None:
    toml.write_text("[display]\nthrotle_s = 1\n", encoding="utf-8")

    assert "did you mean display.throttle_s?" in _problem(file=str(toml))


def test_unknown_name_in_the_environment_is_a_notice() -> None:
    (notice,) = _load(environ={"GLASSHOUSE_PROT": "1"}).notices

    assert "GLASSHOUSE_PROT" in notice
    assert "GLASSHOUSE_PORT" in notice


@pytest.mark.parametrize("variable", ["GLASSHOUSE_PYTHON", "GLASSHOUSE_COMMAND"])
def test_variables_of_the_run_script_are_no_mistake(variable: str) -> None:
    assert () == _load(environ={variable: "./run"}).notices


def test_file_keeps_its_types(toml: Path) -> None:
    toml.write_text('allow_http_apps = "true"\n', encoding="utf-8")

    assert "true or false" in _problem(file=str(toml))


@pytest.mark.parametrize("content", [b"port = \n", b"\xff\xfe"])
def test_file_that_is_no_toml_is_named(toml: Path, content: bytes) -> None:
    toml.write_bytes(content)

    assert f"settings file (from {toml}): is not TOML" in _problem(file=str(toml))


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in _problem(
        environ={"GLASSHOUSE_CONFIG": str(tmp_path / "none.toml")}
    )


# ---------------------------------------------------------------------------------------------------------
# Secrets and URLs


def test_a_secret_is_never_shown_in_an_error() -> None:
    message = _problem(flags={"host": "0.0.0.0", "behind_proxy": "true", "jwt_secret": "short-secret"})

    assert "short-secret" not in message
    assert "32 bytes or more" in message


def test_a_short_secret_is_a_notice_on_loopback() -> None:
    (notice,) = _load(flags={"jwt_secret": "short"}).notices

    assert "32 bytes" in notice


def test_a_secret_of_32_bytes_is_accepted_everywhere() -> None:
    assert () == _load(flags={"host": "0.0.0.0", "behind_proxy": "true", "jwt_secret": LONG}).notices


def test_an_address_that_others_reach_needs_a_proxy_in_front() -> None:
    message = _problem(flags={"host": "0.0.0.0"})

    assert "host" in message
    assert "--behind-proxy" in message
    assert "0.0.0.0" == _load(flags={"host": "0.0.0.0", "behind_proxy": "true"}).settings.host


def test_a_short_storage_key_is_refused_even_on_loopback_and_not_shown() -> None:
    message = _problem(flags={"storage_key": "short-key"})

    assert "short-key" not in message
    assert "openssl rand" in message


def test_a_mongodb_that_is_not_used_says_so_and_one_that_is_missing_is_refused() -> None:
    (notice,) = _load(environ={"MONGODB_URI": "mongodb://ada:hunter2@db"}).notices
    missing = _problem(flags={"store": "mongodb"})
    wrong = _problem(flags={"mongodb_uri": "http://ada:hunter2@db"})

    assert "mongodb_uri is set but does nothing: store is sqlite" in notice
    assert "expected mongodb_uri beside it" in missing
    assert "mongodb_uri" in wrong
    assert "hunter2" not in notice + missing + wrong


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8002", "http://localhost", "http://[::1]:1", "https://x.example/g"]
)
def test_public_url_may_be_https_or_this_machine(url: str) -> None:
    assert url == _load(flags={"public_url": url}).settings.public_url


def test_http_elsewhere_is_allowed_by_a_setting() -> None:
    loaded = _load(flags={"public_url": "http://glasses.lan", "allow_http_apps": "true"})

    assert "http://glasses.lan" == loaded.settings.public_url


def test_internal_url_may_be_http() -> None:
    assert "http://cloud:80" == _load(flags={"internal_url": "http://cloud:80"}).settings.internal_url


def test_log_of_a_server_is_limited_as_the_settings_say(capsys: pytest.CaptureFixture[str]) -> None:
    settings = _load(flags={"log_burst_lines": "2", "log_interval_s": "1000"}).settings
    log = open_log(settings, wall=lambda: 0.0)

    for _ in range(5):
        log.warning("phone_refused")

    assert 2 == capsys.readouterr().err.count("phone_refused")


@pytest.mark.parametrize(
    "flags", [{"host": "0.0.0.0", "behind_proxy": "true"}, {"public_url": "https://glasses.example.org"}]
)
def test_believing_email_addresses_is_refused_unless_only_this_machine_can_ask(
    flags: dict[str, str],
) -> None:
    legacy = {"desktop.legacy_email_auth": "true"}

    assert "desktop.legacy_email_auth" in _problem(flags={**flags, **legacy})
    assert _load(flags=legacy).settings.desktop.legacy_email_auth


@pytest.mark.parametrize(
    ("flags", "is_demanded"),
    [
        ({}, False),
        ({"behind_proxy": "true"}, True),
        ({"host": "0.0.0.0", "behind_proxy": "true"}, True),
        ({"behind_proxy": "true", "require_token_expiry": "false"}, False),
        ({"require_token_expiry": "true"}, True),
    ],
)
def test_tokens_have_to_expire_where_others_reach_the_server(
    flags: dict[str, str], is_demanded: bool
) -> None:
    assert is_demanded == _load(flags=flags).settings.must_tokens_expire


@pytest.mark.parametrize("name", ["identity.supabase_keys_url", "identity.authing_keys_url"])
def test_keys_of_an_identity_provider_come_over_tls(name: str) -> None:
    assert "expected https://" in _problem(flags={name: "http://provider.example.org/keys"})
    assert _load(flags={name: "https://provider.example.org/keys"}).notices == ()
    assert _load(flags={name: "http://127.0.0.1:9999/keys"}).notices == ()

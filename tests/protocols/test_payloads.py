"""What messages carry: layouts, speech, capabilities, the glasses' state, system settings."""

from __future__ import annotations

import json

import msgspec
import pytest

from protocols import (
    MalformedMessage,
    capabilities,
    device_state,
    layouts,
    system_settings,
    transcription,
)

# Layouts (6.1)

LAYOUTS: list[tuple[layouts.Layout, dict[str, object]]] = [
    (layouts.TextWall(text=""), {"layoutType": "text_wall", "text": ""}),
    (
        layouts.DoubleTextWall(top_text="a", bottom_text="b"),
        {"layoutType": "double_text_wall", "topText": "a", "bottomText": "b"},
    ),
    (
        layouts.ReferenceCard(title="a", text="b"),
        {"layoutType": "reference_card", "title": "a", "text": "b"},
    ),
    (
        layouts.DashboardCard(left_text="a", right_text="b"),
        {"layoutType": "dashboard_card", "leftText": "a", "rightText": "b"},
    ),
    (layouts.BitmapView(data="424d"), {"layoutType": "bitmap_view", "data": "424d"}),
    (
        layouts.BitmapAnimation(frames=("a", "b"), interval=1650, repeat=True),
        {"layoutType": "bitmap_animation", "frames": ["a", "b"], "interval": 1650, "repeat": True},
    ),
    (layouts.ClearView(), {"layoutType": "clear_view"}),
]


@pytest.mark.parametrize(("layout", "wire"), LAYOUTS, ids=[str(wire["layoutType"]) for _, wire in LAYOUTS])
def test_a_layout_has_the_wire_s_names(layout: layouts.Layout, wire: dict[str, object]) -> None:
    raw = layouts.to_raw(layout)

    assert wire == json.loads(bytes(raw))
    assert layout == layouts.decode(raw)


def test_a_layout_of_another_kind_is_malformed() -> None:
    with pytest.raises(MalformedMessage, match="hologram"):
        layouts.decode(msgspec.Raw(b'{"layoutType":"hologram"}'))


# Speech (7.6, 7.7)


def test_a_transcription_has_its_required_fields_and_leaves_out_what_is_not_known() -> None:
    data = transcription.TranscriptionData(text="", is_final=False, start_time=0, end_time=1200)

    raw = transcription.to_raw(data)

    assert {
        "type": "transcription",
        "text": "",
        "isFinal": False,
        "startTime": 0,
        "endTime": 1200,
    } == json.loads(bytes(raw))
    assert data == transcription.decode(raw)


def test_a_transcription_has_every_field_of_the_table() -> None:
    data = transcription.TranscriptionData(
        text="hi",
        is_final=True,
        start_time=0,
        end_time=1,
        utterance_id="u",
        transcribe_language="en-US",
        detected_language="en-GB",
        speaker_id="1",
        duration=1,
        confidence=0.5,
        provider="pocketsphinx",
        metadata=msgspec.Raw(b'{"provider":"x"}'),
    )

    assert {
        "type": "transcription",
        "text": "hi",
        "isFinal": True,
        "startTime": 0,
        "endTime": 1,
        "utteranceId": "u",
        "transcribeLanguage": "en-US",
        "detectedLanguage": "en-GB",
        "speakerId": "1",
        "duration": 1,
        "confidence": 0.5,
        "provider": "pocketsphinx",
        "metadata": {"provider": "x"},
    } == json.loads(bytes(transcription.to_raw(data)))


def test_a_translation_says_that_it_did_not_translate() -> None:
    data = transcription.TranslationData(
        text="hi",
        original_text="hi",
        is_final=True,
        start_time=0,
        end_time=1,
        transcribe_language="en-US",
        translate_language="en-US",
        did_translate=False,
    )

    raw = transcription.to_raw(data)

    assert {
        "type": "translation",
        "text": "hi",
        "originalText": "hi",
        "isFinal": True,
        "startTime": 0,
        "endTime": 1,
        "transcribeLanguage": "en-US",
        "translateLanguage": "en-US",
        "didTranslate": False,
    } == json.loads(bytes(raw))
    assert data == transcription.decode(raw)


def test_speech_of_another_type_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        transcription.decode(msgspec.Raw(b'{"type":"button_press"}'))


def test_a_segment_of_the_history_names_its_speaker_even_when_unknown() -> None:
    segment = transcription.Segment(result_id="1", speaker_id=None, text="hi", timestamp="t", is_final=True)

    assert {
        "resultId": "1",
        "speakerId": None,
        "text": "hi",
        "timestamp": "t",
        "isFinal": True,
    } == json.loads(msgspec.json.encode(segment))


# Capabilities (9.10)

# The SDK's own profile, `@mentra/types` in `@mentra/sdk` 2.1.29, src/capabilities/even-realities-g1.ts.
G1 = {
    "modelName": "Even Realities G1",
    "hasCamera": False,
    "camera": None,
    "hasDisplay": True,
    "display": {
        "count": 2,
        "isColor": False,
        "color": "green",
        "canDisplayBitmap": True,
        "resolution": {"width": 640, "height": 200},
        "fieldOfView": {"horizontal": 25},
        "maxTextLines": 5,
        "adjustBrightness": True,
    },
    "hasMicrophone": True,
    "microphone": {"count": 1, "hasVAD": False},
    "hasSpeaker": False,
    "speaker": None,
    "hasIMU": True,
    "imu": None,
    "hasButton": False,
    "button": None,
    "hasLight": False,
    "light": None,
    "power": {"hasExternalBattery": False},
    "hasWifi": False,
}


def test_the_g1_s_profile_is_the_sdk_s() -> None:
    assert json.loads(bytes(capabilities.to_raw(capabilities.of("Even Realities G1")))) == G1


def test_an_unknown_model_has_the_g1_s_profile_under_its_own_name() -> None:
    raw = capabilities.to_raw(capabilities.of("Glasses of 2030"))

    assert {**G1, "modelName": "Glasses of 2030"} == json.loads(bytes(raw))


def test_no_glasses_have_null_capabilities() -> None:
    assert bytes(capabilities.to_raw(None)) == b"null"


def test_the_camera_s_profile_has_the_wire_s_names() -> None:
    profile = json.loads(bytes(capabilities.to_raw(capabilities.of("Mentra Live"))))

    assert {
        "resolution": {"width": 1920, "height": 1080},
        "hasHDR": False,
        "hasFocus": True,
        "video": {
            "canRecord": True,
            "canStream": True,
            "supportedStreamTypes": ["rtmp"],
            "supportedResolutions": [
                {"width": 1920, "height": 1080},
                {"width": 1280, "height": 720},
                {"width": 640, "height": 480},
            ],
        },
    } == profile["camera"]
    assert profile["imu"] == {
        "axisCount": 6,
        "hasAccelerometer": True,
        "hasCompass": False,
        "hasGyroscope": True,
    }
    assert profile["light"]["lights"][1]["isFullColor"] is True


@pytest.mark.parametrize("model_name", capabilities.MODELS)
def test_what_a_model_lacks_is_a_false_flag_and_a_null_object(model_name: str) -> None:
    profile = json.loads(bytes(capabilities.to_raw(capabilities.of(model_name))))

    assert set(profile) == set(G1)
    for part in ("camera", "display", "microphone", "speaker", "button", "light"):
        assert profile[f"has{part.capitalize()}"] is (profile[part] is not None)


def test_every_model_of_the_table_is_known() -> None:
    assert {
        "Even Realities G1",
        "Even Realities G2",
        "Mentra Live",
        "Vuzix Z100",
        "Mentra Mach1",
        "Mentra Display",
        "Mentra Nex",
        "Brilliant Frame",
        "Simulated Glasses",
        "None",
    } == set(capabilities.MODELS)


# GlassesInfo (9.2)


def test_a_partial_state_is_merged_into_what_is_known() -> None:
    known = device_state.decode(b'{"connected":true,"modelName":"Mentra Live","batteryLevel":80}')

    merged = device_state.merge(known, device_state.decode(b'{"connected":false,"wifiSsid":"home"}'))

    assert (
        device_state.GlassesInfo(
            connected=False, model_name="Mentra Live", battery_level=80, wifi_ssid="home"
        )
        == merged
    )


def test_a_delta_has_only_what_changed() -> None:
    before = device_state.GlassesInfo(connected=True, battery_level=80)
    after = device_state.GlassesInfo(connected=True, battery_level=79, charging=False)

    delta = device_state.changes(before, after)

    assert {"batteryLevel": 79, "charging": False} == json.loads(msgspec.json.encode(delta))


def test_what_the_phone_posts_is_read_under_the_wire_s_names() -> None:
    body = {
        "connected": True,
        "modelName": "Mentra Live",
        "androidVersion": "11",
        "fwVersion": "1",
        "buildNumber": "2",
        "otaVersionUrl": "u",
        "appVersion": "3",
        "bluetoothName": "b",
        "serialNumber": "s",
        "style": "x",
        "color": "y",
        "wifiConnected": True,
        "wifiSsid": "home",
        "wifiLocalIp": "10.0.0.2",
        "batteryLevel": 80,
        "charging": False,
        "caseBatteryLevel": 70,
        "caseCharging": False,
        "caseOpen": True,
        "caseRemoved": False,
        "hotspotEnabled": False,
        "hotspotSsid": "h",
        "hotspotPassword": "p",
        "hotspotGatewayIp": "10.0.0.1",
        "timestamp": "t",
    }

    assert body == json.loads(msgspec.json.encode(device_state.decode(json.dumps(body).encode())))


def test_a_state_that_is_no_object_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        device_state.decode(b'"connected"')


def test_the_answer_to_a_state_has_the_wire_s_names() -> None:
    answer = device_state.AppliedState(
        is_glasses_connected=True,
        is_phone_connected=True,
        model_name="None",
        capabilities=capabilities.to_raw(None),
    )

    assert {
        "isGlassesConnected": True,
        "isPhoneConnected": True,
        "modelName": "None",
        "capabilities": None,
    } == json.loads(msgspec.json.encode(answer))


# System settings (9.1)


def test_apps_get_the_defaults_where_nothing_is_stored() -> None:
    assert dict(system_settings.DEFAULTS) == system_settings.for_apps({})


def test_a_stored_setting_reaches_apps_under_their_name() -> None:
    settings = system_settings.for_apps({"metric_system": True, "bypass_vad_for_debugging": True})

    assert (True, True) == (settings["metricSystemEnabled"], settings["bypassVad"])
    assert "metric_system" not in settings


def test_an_unknown_setting_is_kept_as_it_is() -> None:
    assert system_settings.for_apps({"from_next_year": [1]})["from_next_year"] == [1]


@pytest.mark.parametrize(
    ("stored", "device", "preferred", "onboard"),
    [
        ({"preferred_mic:G1": "glasses"}, "G1", "glasses", True),
        ({"preferred_mic:G1": "glasses"}, "Live", "auto", False),
        ({"preferred_mic": "phone"}, None, "phone", False),
    ],
)
def test_the_microphone_s_preference_counts_for_its_device(
    stored: dict[str, object], device: str | None, preferred: str, onboard: bool
) -> None:
    settings = system_settings.for_apps(stored, device)

    assert (preferred, onboard) == (settings["preferredMic"], settings["useOnboardMic"])
    assert not any(key.startswith("preferred_mic") for key in settings)

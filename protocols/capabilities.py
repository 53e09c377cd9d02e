"""What each model of glasses can do (protocol.md 9.10).

The first four profiles are those of the SDK's own table (`@mentra/types`, in `@mentra/sdk` 2.1.29), the rest
are made from what is known of the hardware. Absent hardware is a flag that is False and a null object.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocols.envelope import encode


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    pass


class Resolution(_Part, frozen=True, kw_only=True):
    width: int
    height: int


class Video(_Part, frozen=True, kw_only=True):
    can_record: bool
    can_stream: bool
    supported_stream_types: tuple[str, ...] = ()
    supported_resolutions: tuple[Resolution, ...] = ()


class Camera(_Part, frozen=True, kw_only=True):
    resolution: Resolution
    has_hdr: bool = msgspec.field(name="hasHDR")
    has_focus: bool
    video: Video


class FieldOfView(_Part, frozen=True, kw_only=True):
    horizontal: float


class Display(_Part, frozen=True, kw_only=True):
    count: int
    is_color: bool
    color: str
    can_display_bitmap: bool
    resolution: Resolution
    field_of_view: FieldOfView
    max_text_lines: int
    adjust_brightness: bool


class Microphone(_Part, frozen=True, kw_only=True):
    count: int
    has_vad: bool = msgspec.field(name="hasVAD")


class Speaker(_Part, frozen=True, kw_only=True):
    count: int
    is_private: bool


class Imu(_Part, frozen=True, kw_only=True):
    axis_count: int
    has_accelerometer: bool
    has_compass: bool
    has_gyroscope: bool


class Button(_Part, frozen=True, kw_only=True):
    type: str
    events: tuple[str, ...]
    is_capacitive: bool


class Buttons(_Part, frozen=True, kw_only=True):
    count: int
    buttons: tuple[Button, ...]


class Light(_Part, frozen=True, kw_only=True):
    id: str
    purpose: str  # privacy, user_feedback or general
    is_full_color: bool
    color: str
    position: str


class Lights(_Part, frozen=True, kw_only=True):
    count: int
    lights: tuple[Light, ...]


class Power(_Part, frozen=True, kw_only=True):
    has_external_battery: bool


class Capabilities(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A model's profile. Nothing is left out: what is not there is null."""

    model_name: str
    has_camera: bool = False
    camera: Camera | None = None
    has_display: bool = False
    display: Display | None = None
    has_microphone: bool = False
    microphone: Microphone | None = None
    has_speaker: bool = False
    speaker: Speaker | None = None
    has_imu: bool = msgspec.field(default=False, name="hasIMU")
    imu: Imu | None = None
    has_button: bool = False
    button: Buttons | None = None
    has_light: bool = False
    light: Lights | None = None
    power: Power = Power(has_external_battery=False)
    has_wifi: bool = False


_GREEN_640X480 = Display(
    count=1,
    is_color=False,
    color="green",
    can_display_bitmap=False,
    resolution=Resolution(width=640, height=480),
    field_of_view=FieldOfView(horizontal=30),
    max_text_lines=7,
    adjust_brightness=True,
)
_GREEN_640X200 = Display(
    count=2,
    is_color=False,
    color="green",
    can_display_bitmap=True,
    resolution=Resolution(width=640, height=200),
    field_of_view=FieldOfView(horizontal=25),
    max_text_lines=5,
    adjust_brightness=True,
)
_ONE_MICROPHONE = Microphone(count=1, has_vad=False)

EVEN_REALITIES_G1 = Capabilities(
    model_name="Even Realities G1",
    has_display=True,
    display=_GREEN_640X200,
    has_microphone=True,
    microphone=_ONE_MICROPHONE,
    has_imu=True,  # it knows head up and down, and gives apps no raw data
)
MENTRA_LIVE = Capabilities(
    model_name="Mentra Live",
    has_camera=True,
    camera=Camera(
        resolution=Resolution(width=1920, height=1080),
        has_hdr=False,
        has_focus=True,
        video=Video(
            can_record=True,
            can_stream=True,
            supported_stream_types=("rtmp",),
            supported_resolutions=(
                Resolution(width=1920, height=1080),
                Resolution(width=1280, height=720),
                Resolution(width=640, height=480),
            ),
        ),
    ),
    has_microphone=True,
    microphone=Microphone(count=1, has_vad=True),
    has_speaker=True,
    speaker=Speaker(count=1, is_private=False),
    has_imu=True,
    imu=Imu(axis_count=6, has_accelerometer=True, has_compass=False, has_gyroscope=True),
    has_button=True,
    button=Buttons(
        count=1,
        buttons=(Button(type="press", events=("press", "double_press", "long_press"), is_capacitive=False),),
    ),
    has_light=True,
    light=Lights(
        count=2,
        lights=(
            Light(
                id="privacy", purpose="privacy", is_full_color=False, color="white", position="front_facing"
            ),
            Light(
                id="user_feedback",
                purpose="user_feedback",
                is_full_color=True,
                color="rgb",
                position="user_facing",
            ),
        ),
    ),
    has_wifi=True,
)
SIMULATED_GLASSES = Capabilities(
    model_name="Simulated Glasses",
    has_display=True,
    display=_GREEN_640X480,
    has_microphone=True,
    microphone=_ONE_MICROPHONE,
    has_speaker=True,
    speaker=Speaker(count=1, is_private=False),
    has_button=True,
    button=Buttons(count=1, buttons=(Button(type="press", events=("press",), is_capacitive=False),)),
)
VUZIX_Z100 = Capabilities(model_name="Vuzix Z100", has_display=True, display=_GREEN_640X480)
NONE = Capabilities(model_name="None")


def _like(profile: Capabilities, model_name: str) -> Capabilities:
    return msgspec.structs.replace(profile, model_name=model_name)


MODELS: Mapping[str, Capabilities] = {
    profile.model_name: profile
    for profile in (
        EVEN_REALITIES_G1,
        MENTRA_LIVE,
        SIMULATED_GLASSES,
        VUZIX_Z100,
        _like(VUZIX_Z100, "Mentra Mach1"),  # the same hardware under another name
        _like(EVEN_REALITIES_G1, "Even Realities G2"),
        _like(EVEN_REALITIES_G1, "Mentra Display"),
        _like(EVEN_REALITIES_G1, "Mentra Nex"),  # Mentra Display's older name
        Capabilities(
            model_name="Brilliant Frame",
            has_camera=True,
            camera=Camera(
                resolution=Resolution(width=1280, height=720),
                has_hdr=False,
                has_focus=False,
                video=Video(can_record=False, can_stream=False),
            ),
            has_display=True,
            display=Display(
                count=1,
                is_color=True,
                color="full_color",
                can_display_bitmap=True,
                resolution=Resolution(width=640, height=400),
                field_of_view=FieldOfView(horizontal=20),
                max_text_lines=6,
                adjust_brightness=True,
            ),
            has_microphone=True,
            microphone=_ONE_MICROPHONE,
            has_imu=True,
        ),
        NONE,
    )
}
"""Every model that is known, by the name phones report."""


def of(model_name: str) -> Capabilities:
    """A model's profile; an unknown model gets the G1's under its own name, as the clouds do it."""
    return MODELS.get(model_name) or _like(EVEN_REALITIES_G1, model_name)


def to_raw(capabilities: Capabilities | None) -> msgspec.Raw:
    """As the ack and `capabilities_update` carry it: an object, or null."""
    return msgspec.Raw(b"null" if capabilities is None else encode(capabilities))

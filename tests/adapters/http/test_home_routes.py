"""The home screen: apps with what is true of them, install and uninstall, versions."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from actors.cabinet.settings import CabinetSettings
from actors.ports import HardwareRequirement
from adapters.http.settings import VersionSettings
from adapters.simulated.store import SimulatedDocuments
from config.settings import Settings
from tests.adapters.http.rest_scene import ADA, BOB, CAPTIONS, OTHER, OTHER_KEY, Scene, scene


async def packages(there: Scene, path: str, user: str | None = ADA) -> list[str]:
    answer = await there.get(path, user=user)
    assert 200 == answer.status, answer
    return [app["packageName"] for app in answer.body["data"]]


async def test_a_phone_is_told_which_version_it_needs_and_keeps_no_copy(autojump_clock: MockClock) -> None:
    async with scene() as there:
        answer = await there.get("/api/client/min-version")

    assert (200, {"required": "2.1.16", "recommended": "2.2.7"}) == (answer.status, answer.body["data"])
    assert "no-store" == answer.headers["Cache-Control"]


async def test_the_versions_are_settings(autojump_clock: MockClock) -> None:
    settings = Settings(versions=VersionSettings(phone_required="3.0.0", sdk_latest="4.0.0-beta.1"))
    async with scene(settings=settings) as there:
        phone = await there.get("/api/client/min-version")
        sdk = await there.get("/api/sdk/version?tag=beta")

    assert "3.0.0" == phone.body["data"]["required"]
    assert {"required": "2.1.0", "latest": "4.0.0-beta.1", "tag": "beta"} == sdk.body["data"]


async def test_the_home_screen_tells_what_runs_and_whose_server_is_well(autojump_clock: MockClock) -> None:
    async with scene() as there:
        phone = await there.phone()
        need = HardwareRequirement("CAMERA", "OPTIONAL")
        await there.world.app_server(
            OTHER, key=OTHER_KEY, name="Other", hardware=(need,), app_type="standard"
        )
        server = await there.running(phone, name="Captions", permissions=("MICROPHONE",))

        answer = await there.get("/api/client/apps", user=ADA)
        captions, other = answer.body["data"]
        assert (CAPTIONS, "Captions", True, True, "background") == tuple(
            captions[name] for name in ("packageName", "name", "running", "healthy", "type")
        )
        assert [{"type": "MICROPHONE", "description": ""}] == captions["permissions"]
        assert captions["installedDate"].endswith("Z")
        assert captions["lastActiveAt"].endswith("Z")
        assert (False, "standard", [{"type": "CAMERA", "level": "OPTIONAL"}]) == (
            other["running"],
            other["type"],
            other["hardwareRequirements"],
        )
        assert "installedDate" not in other

        server.down()
        await trio.sleep(1)
        captions, _ = (await there.get("/api/client/apps", user=ADA)).body["data"]
        assert (True, False) == (captions["running"], captions["healthy"])


async def test_without_a_session_nothing_runs_and_the_screen_is_there(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.world.app_server()

        (app,) = (await there.get("/api/client/apps", user=BOB)).body["data"]

        assert app["running"] is False


async def test_an_app_is_installed_and_uninstalled_once(autojump_clock: MockClock) -> None:
    async with scene() as there:
        phone = await there.phone()
        await there.world.app_server(name="Captions")
        assert [] == await packages(there, "/api/apps/installed")
        changes = len(phone.heard("app_state_change"))

        first = await there.post(f"/api/apps/install/{CAPTIONS}", user=ADA)
        again = await there.post(f"/api/apps/install/{CAPTIONS}", user=ADA)
        await there.world.settle()

        assert (200, "Captions is installed") == (first.status, first.body["message"])
        assert (400, "INVALID_REQUEST") == (again.status, again.body["code"])
        assert [CAPTIONS] == await packages(there, "/api/apps/installed")
        assert changes + 1 == len(phone.heard("app_state_change"))
        gone = await there.post(f"/api/apps/uninstall/{CAPTIONS}", user=ADA)
        again = await there.post(f"/api/apps/uninstall/{CAPTIONS}", user=ADA)
        assert (200, 400) == (gone.status, again.status)
        assert [] == await packages(there, "/api/apps/installed") == await packages(there, "/api/client/apps")
        assert [CAPTIONS] == await packages(there, "/api/apps/available")
        assert [CAPTIONS] == await packages(there, "/api/client/apps", BOB)


async def test_what_the_store_has_of_a_home_screen_outlives_the_server(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with scene(documents) as there:
        await there.world.app_server()
        await there.post(f"/api/apps/install/{CAPTIONS}", user=ADA)
        await there.world.die()
    async with scene(documents) as after:
        assert [CAPTIONS] == await packages(after, "/api/apps/installed")


async def test_an_app_that_runs_is_stopped_when_it_is_uninstalled(autojump_clock: MockClock) -> None:
    async with scene() as there:
        phone = await there.phone()
        await there.running(phone)

        answer = await there.post(f"/api/apps/uninstall/{CAPTIONS}", user=ADA)

        assert 200 == answer.status
        assert [] == phone.running()
        assert [] == await packages(there, "/api/client/apps")


async def test_a_catalogue_that_is_not_everybodys_shows_what_was_installed_and_the_systems_own(
    autojump_clock: MockClock,
) -> None:
    settings = Settings(cabinet=CabinetSettings(installs_all=False))
    async with scene(settings=settings) as there:
        await there.world.app_server()
        await there.world.app_server("org.example.system", key="k", is_system=True)

        assert ["org.example.system"] == await packages(there, "/api/client/apps")
        await there.post(f"/api/apps/install/{CAPTIONS}", user=ADA)
        assert [CAPTIONS, "org.example.system"] == await packages(there, "/api/client/apps")


async def test_lists_of_generation_a_tell_the_same_by_its_names(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.running(await there.phone(), logo_url="https://x/l.png", webview_url="https://x/w")

        for path in ("/api/apps", "/api/apps/", "/apps", "/apps/"):
            (app,) = (await there.get(path, user=ADA)).body["data"]
            assert (CAPTIONS, "background", "https://x/l.png", "https://x/w", True, True) == tuple(
                app[name]
                for name in ("packageName", "appType", "logoURL", "webviewURL", "isInstalled", "is_running")
            )


async def test_the_catalogue_is_everybodys_and_shows_no_address_and_no_key(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.world.app_server(name="Captions", description="What is said, written down")
        await there.world.app_server(OTHER, key=OTHER_KEY, name="Notes")

        everything = await there.get("/api/apps/public")
        found = await packages(there, "/api/apps/search?query=WRITTEN", None)
        one = await there.get(f"/api/apps/{CAPTIONS}")
        nothing = await there.get("/api/apps/search")
        unknown = await there.get("/api/apps/org.example.unknown")

        assert [CAPTIONS, OTHER] == [app["packageName"] for app in everything.body["data"]]
        assert [CAPTIONS] == found
        assert "Captions" == one.body["data"]["name"]
        assert (400, 404) == (nothing.status, unknown.status)
        text = str(everything.body) + str(one.body)
        assert "hashed" not in text
        assert "example.org'" not in text.replace("org.example", "")
        assert "isInstalled" not in text


async def test_an_apps_permissions_are_public(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.world.app_server(permissions=("LOCATION",))

        known = await there.get(f"/api/public/permissions/{CAPTIONS}")
        unknown = await there.get("/api/public/permissions/org.example.unknown")

        assert {
            "packageName": CAPTIONS,
            "permissions": [{"type": "LOCATION", "description": ""}],
        } == known.body
        assert (404, "PACKAGE_NOT_FOUND") == (unknown.status, unknown.body["code"])


async def test_a_server_is_asked_for_its_health(autojump_clock: MockClock) -> None:
    async with scene() as there:
        server = await there.world.app_server()
        path = "/api/app-uptime/app-pkg-health-check"

        well = await there.post(path, {"packageName": CAPTIONS})
        server.down()
        await trio.sleep(5)
        down = await there.post(path, {"packageName": CAPTIONS})
        unknown = await there.post(path, {"packageName": "org.example.unknown"})
        nothing = await there.post(path, {})

        assert (200, True, 200) == (well.status, well.body["success"], well.body["status"])
        for answer in (down, unknown):
            assert (200, False, 500) == (answer.status, answer.body["success"], answer.body["status"])
        assert 400 == nothing.status
        assert ["/health"] == [call.path for call in there.world.webhooks.calls if call.method == "GET"]


async def test_the_servers_own_version_is_told(autojump_clock: MockClock) -> None:
    async with scene() as there:
        answer = await there.get("/api/apps/version")

    assert answer.body["data"]["version"].count(".") == 2


async def test_a_store_that_is_out_says_when_to_come_back(autojump_clock: MockClock) -> None:
    async with scene() as there:
        there.world.store.outage = "no space left"

        answer = await there.get("/api/client/apps", user=ADA)

        assert (503, "STORE_UNAVAILABLE", "1") == (
            answer.status,
            answer.body["code"],
            answer.headers["Retry-After"],
        )
        assert "error" not in answer.body, "only a missing session has the phone dial again"

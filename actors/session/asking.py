"""What apps ask of the phone: passed on, answered, or refused with the hop that could not.

No request stays without an answer: the phone's, or an error as soon as it is certain that none will come. It
goes where the app's SDK looks for it: on the socket, a photo's to the app server (protocol.md 9.6).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from protocols import from_app, from_phone, location_tiers, streams, to_app, to_phone, webhooks
from protocols.error_codes import ErrorCode
from protocols.session_ids import app_session_id

from ..apps.messages import Deliver, PostToServer
from . import requests as waiting
from . import rtmp, wire
from .hardware import NO_PHONE, PHONE_LOST, PhoneRequest, Refusal, refusal
from .messages import AppAsked, RequestsTick
from .requests import Kind, Request
from .state import LEAVING, AppEntry
from .streaming import Streaming

PHOTO_UPLOAD = "/photo-upload"


class Asking(Streaming):
    """Keeps what waits for the phone."""

    # -- what an app asks ---------------------------------------------------------------------------------

    def _app_asked(self, asked: AppAsked) -> None:
        entry = self.state.apps.get(asked.package_name)
        if entry is None or entry.phase in LEAVING:
            return
        message = asked.message
        match message:
            case from_app.StreamStatusCheck():
                self._tell_stream_status(entry)
            case from_app.RtmpStreamStop():
                self._stop_stream(entry, message.stream_id)
            case _:
                self._ask_phone(entry, message)

    def _ask_phone(self, entry: AppEntry, message: PhoneRequest) -> None:
        streaming = None if self.state.rtmp is None else self.state.rtmp.package_name
        refused = refusal(
            message,
            entry.app,
            self.state.glasses,
            is_phone_here=self._is_phone_here(),
            streaming=streaming,
        )
        if (
            isinstance(message, from_app.LocationPollRequest)
            and refused in (None, NO_PHONE)
            and self._tell_known_place(entry, message)
        ):
            return
        if refused is None and len(self.state.requests) >= self.domain.settings.requests.most:
            most = self.domain.settings.requests.most
            refused = Refusal(ErrorCode.RATE_LIMITED, f"{most} requests wait for the phone already")
        if refused is not None:
            self._refuse(entry, message, refused)
            return
        match message:
            case from_app.PhotoRequest():
                self._ask_photo(entry, message)
            case from_app.RgbLedControl():
                self._ask_light(entry, message)
            case from_app.LocationPollRequest():
                accuracy = _accuracy(message)
                self._await(entry, Kind.LOCATION, message.correlation_id)
                self._tell_phone(
                    to_phone.RequestSingleLocation(accuracy=accuracy, correlation_id=message.correlation_id)
                )
            case from_app.RequestWifiSetup():
                self._tell_phone(
                    to_phone.ShowWifiSetup(reason=message.reason, app_package_name=entry.app.package_name)
                )
            case from_app.RtmpStreamRequest():
                self._start_stream(entry, message)

    def _ask_photo(self, entry: AppEntry, message: from_app.PhotoRequest) -> None:
        is_by_socket = message.request_id is None
        request_id = message.request_id or self.system.ids.next("photo")
        url = message.custom_webhook_url or webhooks.url(entry.app.public_url, PHOTO_UPLOAD)
        self._await(
            entry,
            Kind.PHOTO,
            request_id,
            is_by_socket=is_by_socket,
            upload_url=None if message.custom_webhook_url else url,
            upload_token=message.auth_token,
        )
        self._tell_phone(
            to_phone.PhotoRequest(
                request_id=request_id,
                app_id=entry.app.package_name,
                save_to_gallery=message.save_to_gallery,
                webhook_url=url,
                auth_token=message.auth_token,
                size=message.size,
                compress=message.compress,
                flash=message.flash,
                sound=message.sound,
            )
        )

    def _ask_light(self, entry: AppEntry, message: from_app.RgbLedControl) -> None:
        package_name = entry.app.package_name
        self._await(entry, Kind.LIGHT, message.request_id)
        self._tell_phone(
            to_phone.RgbLedControl(
                request_id=message.request_id,
                package_name=package_name,
                app_id=package_name,
                action=message.action,
                color=message.color,
                ontime=message.ontime,
                offtime=message.offtime,
                count=message.count,
            )
        )

    def _tell_known_place(self, entry: AppEntry, message: from_app.LocationPollRequest) -> bool:
        """Answer a poll from what the phone said last, if that is new enough for it (protocol.md 5.8)."""
        known = self.state.last_known
        if known.location is None or known.located_at is None:
            return False
        if self.system.clock.wall() - known.located_at > location_tiers.MAX_AGE_S[_accuracy(message)]:
            return False
        self._tell_place(entry, known.location, message.correlation_id)
        return True

    def _tell_place(self, entry: AppEntry, raw: bytes, correlation_id: str) -> None:
        place = msgspec.json.decode(raw, type=dict[str, Any])
        data = msgspec.Raw(msgspec.json.encode({**place, "correlationId": correlation_id}))
        session_id = app_session_id(self.user_id, entry.app.package_name)
        payload = to_app.data_stream(session_id, streams.LOCATION_UPDATE, data, self._stamp())
        entry.ref.tell(Deliver(wire.control(payload)))

    # -- what the phone answers ---------------------------------------------------------------------------

    def _is_awaited(self, message: from_phone.PhoneMessage) -> bool:
        """Whether an app waits for this answer of the phone."""
        match message:
            case from_phone.LocationUpdate(correlation_id=str(id)):
                return waiting.find(self.state.requests, Kind.LOCATION, id) is not None
            case from_phone.PhotoResponse(request_id=id):
                return waiting.find(self.state.requests, Kind.PHOTO, id) is not None
            case _:
                return False

    def _phone_answered(self, message: from_phone.PhoneMessage, raw: bytes) -> None:
        """Pass an answer on to the app that waits for it; an answer that nobody waits for is nothing."""
        match message:
            case from_phone.LocationUpdate(correlation_id=str(id)):
                request, entry = self._take(Kind.LOCATION, id)
                if request is not None and entry is not None:
                    self._tell_place(entry, raw, id)
            case from_phone.PhotoResponse():
                self._photo_answered(message)
            case from_phone.RgbLedControlResponse():
                request, entry = self._take(Kind.LIGHT, message.request_id)
                if entry is not None:
                    self._answer_app(
                        entry,
                        to_app.RgbLedControlResponse(
                            request_id=message.request_id,
                            success=message.success is not False,
                            error=message.error,
                            timestamp=self._stamp(),
                        ),
                    )
            case from_phone.RtmpStreamStatus():
                self._stream_reported(message)
            case from_phone.KeepAliveAck(stream_id=stream_id, ack_id=ack_id):
                stream = self.state.rtmp
                if stream is not None and stream.id == stream_id:
                    self._put_stream(rtmp.answered(stream, ack_id, self.now))

    def _photo_answered(self, message: from_phone.PhotoResponse) -> None:
        request, entry = self._take(Kind.PHOTO, message.request_id)
        if request is None or entry is None:
            return
        if not message.has_succeeded:
            error = message.error
            code = None if error is None or isinstance(error, str) else error.code
            said = error if error is None or isinstance(error, str) else error.message
            refused = Refusal(
                ErrorCode.PHONE_FAILED, str(said or "the phone took no photo"), str(code or "UNKNOWN_ERROR")
            )
            self._fail(entry, request, refused)
        elif request.is_by_socket:
            self._answer_app(
                entry,
                to_app.PhotoResponse(
                    request_id=request.id,
                    success=True,
                    photo_url=message.photo_url,
                    saved_to_gallery=message.saved_to_gallery,
                    timestamp=self._stamp(),
                ),
            )

    # -- what waits ---------------------------------------------------------------------------------------

    def _await(
        self,
        entry: AppEntry,
        kind: Kind,
        id: str,
        *,
        is_by_socket: bool = False,
        upload_url: str | None = None,
        upload_token: str | None = None,
    ) -> None:
        """From now on the phone is waited for. A second request of one id takes the first one's place."""
        settings = self.domain.settings.requests
        expires_at = self.now + waiting.patience_s(kind, settings)
        request = Request(
            kind, id, entry.app.package_name, expires_at, is_by_socket, upload_url, upload_token
        )
        known = waiting.find(self.state.requests, kind, id)
        rest = self.state.requests if known is None else waiting.without(self.state.requests, (known,))
        self._put_requests((*rest, request))

    def _take(self, kind: Kind, id: str) -> tuple[Request | None, AppEntry | None]:
        """The request that an answer is for, which waits no more, and its app if that is still there."""
        request = waiting.find(self.state.requests, kind, id)
        if request is None:
            return None, None
        self._put_requests(waiting.without(self.state.requests, (request,)))
        return request, self.state.apps.get(request.package_name)

    def _put_requests(self, requests: tuple[Request, ...]) -> None:
        self.state = replace(self.state, requests=requests)
        self._arm_requests()

    def _requests_tick(self) -> None:
        late = waiting.overdue(self.state.requests, self.now)
        self._put_requests(waiting.without(self.state.requests, late))
        for request in late:
            patience_s = waiting.patience_s(request.kind, self.domain.settings.requests)
            self._fail_for(
                request,
                Refusal(ErrorCode.PHONE_TIMEOUT, f"the phone did not answer within {patience_s:g} s"),
            )
        self._stream_tick()
        self._arm_requests()

    def _fail_requests(self) -> None:
        """The phone is gone, and with it the answers."""
        lost = self.state.requests
        self._put_requests(())
        for request in lost:
            self._fail_for(request, PHONE_LOST)

    def _forget_requests(self, package_name: str) -> None:
        """An app is on its way out: nobody waits for its answers, and its stream ends."""
        mine = waiting.of_app(self.state.requests, package_name)
        if mine:
            self._put_requests(waiting.without(self.state.requests, mine))
        stream = self.state.rtmp
        if stream is not None and stream.package_name == package_name:
            self._end_stream(stream)

    def _arm_requests(self) -> None:
        due = [waiting.deadline(self.state.requests)]
        if self.state.rtmp is not None:
            due.append(rtmp.deadline(self.state.rtmp, self.domain.settings.requests))
        moments = [at for at in due if at is not None]
        if moments:
            self.set_timer("requests", max(0.0, min(moments) - self.now), RequestsTick())
        else:
            self.cancel_timer("requests")

    # -- refusals -----------------------------------------------------------------------------------------

    def _refuse(self, entry: AppEntry, message: PhoneRequest, refused: Refusal) -> None:
        self.telemetry.info(
            "app_request_refused",
            user=self.user_id,
            package=entry.app.package_name,
            type=type(message).__name__,
            code=refused.code.value,
        )
        package_name = entry.app.package_name
        match message:
            case from_app.PhotoRequest(request_id=id):
                known = id or self.system.ids.next("photo")
                self._fail(
                    entry, Request(Kind.PHOTO, known, package_name, 0.0, is_by_socket=id is None), refused
                )
            case from_app.RgbLedControl(request_id=id):
                self._fail(entry, Request(Kind.LIGHT, id, package_name, 0.0), refused)
            case from_app.LocationPollRequest(correlation_id=id):
                self._fail(entry, Request(Kind.LOCATION, id, package_name, 0.0), refused)
            case from_app.RequestWifiSetup():
                self._answer_app(
                    entry, to_app.error(refused.code, f"request_wifi_setup: {refused.message}", self._stamp())
                )
            case from_app.RtmpStreamRequest():
                self._answer_app(entry, wire.rtmp_error(refused.code, refused.message, self._stamp()))

    def _fail_for(self, request: Request, refused: Refusal) -> None:
        entry = self.state.apps.get(request.package_name)
        if entry is not None:
            self._fail(entry, request, refused)

    def _fail(self, entry: AppEntry, request: Request, refused: Refusal) -> None:
        stamp = self._stamp()
        error = msgspec.Raw(msgspec.json.encode(refused.message))
        match request.kind:
            case Kind.PHOTO:
                body = webhooks.photo_error(request.id, refused.code_of_photo, refused.message)
                entry.ref.tell(PostToServer(PHOTO_UPLOAD, body))
                if request.is_by_socket:
                    said = {"code": refused.code_of_photo, "message": refused.message}
                    failed = msgspec.Raw(msgspec.json.encode(said))
                    self._answer_app(
                        entry,
                        to_app.PhotoResponse(
                            request_id=request.id, success=False, error=failed, timestamp=stamp
                        ),
                    )
            case Kind.LIGHT:
                self._answer_app(
                    entry,
                    to_app.RgbLedControlResponse(
                        request_id=request.id, success=False, error=error, timestamp=stamp
                    ),
                )
            case Kind.LOCATION:
                message = f"location_poll_request {request.id}: {refused.message}"
                self._answer_app(entry, to_app.error(refused.code, message, stamp))


def _accuracy(message: from_app.LocationPollRequest) -> str:
    """The tier that is asked for; an SDK may leave it out, or say what is none."""
    accuracy = message.accuracy
    return accuracy if accuracy in location_tiers.COARSE_TO_FINE else location_tiers.DEFAULT

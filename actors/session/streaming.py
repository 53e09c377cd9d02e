"""The stream of the glasses' camera, as its app, the phone and the clock move it (`rtmp.py`)."""

from __future__ import annotations

import abc

import msgspec
from msgspec.structs import replace

from protocols import from_app, from_phone, to_app, to_phone
from protocols.envelope import ABSENT, Message
from protocols.error_codes import ErrorCode

from ..apps.messages import Deliver
from . import rtmp, wire
from .hearing import Hearing
from .rtmp import RtmpStream
from .state import AppEntry


class Streaming(Hearing):
    """Keeps the camera's stream, and says what it is to the phone and to its app."""

    @abc.abstractmethod
    def _arm_requests(self) -> None: ...

    def _start_stream(self, entry: AppEntry, message: from_app.RtmpStreamRequest) -> None:
        if self.state.rtmp is not None:
            self._end_stream(self.state.rtmp)  # the app's own, of before a restart of its server
        id = self.system.ids.next("stream")
        self._put_stream(rtmp.begun(id, entry.app.package_name, self.now, self.domain.settings.requests))
        self._tell_phone(
            to_phone.StartRtmpStream(
                rtmp_url=message.rtmp_url,
                app_id=entry.app.package_name,
                stream_id=id,
                video=message.video,
                audio=message.audio,
                stream=message.stream,
            )
        )
        self._answer_app(
            entry, to_app.RtmpStreamStatus(status="initializing", stream_id=id, timestamp=self._stamp())
        )

    def _stop_stream(self, entry: AppEntry, stream_id: str | None) -> None:
        """Stopping what does not stream is a success, as stopping an app is (protocol.md 13.5)."""
        stream = self.state.rtmp
        if stream is not None and stream.package_name == entry.app.package_name:
            stream_id = stream.id
            self._end_stream(stream)
        self._answer_app(
            entry, to_app.RtmpStreamStatus(status="stopped", stream_id=stream_id, timestamp=self._stamp())
        )

    def _end_stream(self, stream: RtmpStream) -> None:
        self._tell_phone(to_phone.StopRtmpStream(app_id=stream.package_name, stream_id=stream.id))
        self._put_stream(None)

    def _stream_reported(self, message: from_phone.RtmpStreamStatus) -> None:
        stream = self.state.rtmp
        if stream is None or message.stream_id not in (None, stream.id):
            return
        self._put_stream(rtmp.heard(stream, message.status, self.now))
        entry = self.state.apps.get(stream.package_name)
        if entry is not None:
            self._answer_app(
                entry,
                to_app.RtmpStreamStatus(
                    status=message.status,
                    stream_id=stream.id,
                    error_details=message.error_details,
                    app_id=stream.package_name,
                    stats=message.stats,
                    timestamp=self._stamp(),
                ),
            )

    def _stream_tick(self) -> None:
        stream = self.state.rtmp
        if stream is None:
            return
        ack_id = self.system.ids.next("ack")
        after, effect = rtmp.tick(stream, self.now, self.domain.settings.requests, ack_id=ack_id)
        self._put_stream(after)
        match effect:
            case rtmp.Ask(stream_id, asked):
                self._tell_phone(to_phone.KeepRtmpStreamAlive(stream_id=stream_id, ack_id=asked))
            case rtmp.Lost(cause):
                self.telemetry.warning(
                    "stream_lost", user=self.user_id, package=stream.package_name, cause=cause
                )
                self._end_stream(stream)
                entry = self.state.apps.get(stream.package_name)
                if entry is not None:
                    error = wire.rtmp_error(
                        ErrorCode.PHONE_TIMEOUT, cause, self._stamp(), stream_id=stream.id
                    )
                    self._answer_app(entry, error)

    def _tell_stream_status(self, entry: AppEntry) -> None:
        stream = self.state.rtmp
        is_own = stream is not None and stream.package_name == entry.app.package_name
        info = ABSENT
        if stream is not None and is_own:
            said = {"type": "unmanaged", "streamId": stream.id, "status": stream.status}
            info = msgspec.Raw(msgspec.json.encode(said))
        self._answer_app(
            entry,
            to_app.StreamStatusCheckResponse(
                has_active_stream=is_own, stream_info=info, timestamp=self._stamp()
            ),
        )

    def _put_stream(self, stream: RtmpStream | None) -> None:
        self.state = replace(self.state, rtmp=stream)
        self._arm_requests()

    # -- the two sides ------------------------------------------------------------------------------------

    def _tell_phone(self, message: Message) -> None:
        self._to_phone(to_phone.encode(replace(message, timestamp=self._stamp())))

    def _answer_app(self, entry: AppEntry, message: Message) -> None:
        entry.ref.tell(Deliver(wire.control(to_app.encode(message))))

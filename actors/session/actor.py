"""A user's session: its beginning, its end, and its phone.

The control plane of one user. Everything arrives as a message; nothing here waits. What is stored is
committed before it is announced (the phone's running list is the truth), and what a phone or an app needs
after it comes back is worked out from the state alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from protocols import close_codes, from_phone
from protocols.audio import AudioFormat
from protocols.device_state import GlassesInfo
from runtime import ReplyTo, RestartInfo, StopKind, Terminated

from .. import microphone
from ..apps.messages import EndSession, PhonePresence
from ..audio.routing import StrayAudio
from ..cabinet.messages import PreferencesChanged
from ..display import arbitration as display
from ..journal import Commit, CommitDone, CommitFailed
from ..link.messages import AudioConfigured
from ..neighbours import NeighbourBack
from ..ports import PutUser
from ..snapshots.loading import read_user
from ..speech.messages import Unserved, VoiceBegan, VoiceEnded
from ..users.roster import UserReady
from ..webrtc.signals import SessionOver
from . import requests, wire
from . import state as states
from .beginning import HandedFacts
from .messages import (
    AckDue,
    AdmitPhone,
    AnnounceDue,
    AppAsked,
    AppDialled,
    AppFound,
    AppNotFound,
    AppPhaseChanged,
    AppStartFailed,
    BootAgain,
    ConfigureAudio,
    FindFacts,
    Goodbye,
    GraceOver,
    LetIn,
    LoadUser,
    LookForOrphans,
    MicrophoneTick,
    MissingOverdue,
    PhoneArrived,
    PhoneGone,
    PhoneReported,
    PhoneWelcome,
    PlayOverdue,
    PlayRequested,
    ReadTranscripts,
    Repeat,
    RequestsTick,
    SaveAgain,
    SaveOverdue,
    SessionFacts,
    SessionMessage,
    SessionOverError,
    SetDatetime,
    StartApp,
    StopApp,
    StopPlaying,
    SubscriptionsRequested,
    TakeDeviceState,
    TakeReport,
    UserLoaded,
    UserNotLoaded,
)
from .recovering import Recovering
from .running import ORPHANS_S
from .state import with_takeover

END_AGAIN_S = 2.0
"""A session that has ended and is still there ends again."""

if TYPE_CHECKING:
    pass


class UserSession(Recovering):
    """Its state is `SessionState`, kept across crashes; timers are armed again from it."""

    mailbox_size = 4096

    def facts(self) -> Mapping[str, object]:
        """Since when it stands, whatever has died meanwhile, and how many apps it runs."""
        wall = self.system.clock.wall()
        return {"session_s": round(wall - self.state.started_wall, 1), "apps": len(self.state.apps)}

    def started(self, restart: RestartInfo | None) -> None:
        if not self.state.incarnation:
            self.state = msgspec.structs.replace(
                self.state,
                incarnation=self.system.ids.next("session"),
                started_at=self.now,
                started_wall=self.system.clock.wall(),
                grace_ends_at=self.now + self.settings.empty_session_s,
            )
            self.telemetry.info("session_opened", user=self.user_id, incarnation=self.state.incarnation)
            user = PutUser(self.user_id, round(self.state.started_wall * 1000))
            self.domain.journal.tell(Commit((user,)))
        elif restart is None:
            self._resume_apps(self.apps_to_resume)
            if self.handed is None:
                self.telemetry.info("session_resumed", user=self.user_id, incarnation=self.state.incarnation)
            else:
                self._go_on(self.handed)
        if self.state.to_boot is None:
            self._load_user()
        if self.state.grace_ends_at is not None:
            self.set_timer("grace", max(0.0, self.state.grace_ends_at - self.now), GraceOver())
        self._arm_microphone()
        self._arm_requests()
        self._await_missing()
        self._await_plays()
        if restart is not None:
            self._ask_around()
        self.roster.tell(UserReady(self.user_id, self.ref, self.near.display))

    def receive(self, message: SessionMessage) -> None:
        match message:
            case PhoneReported():
                self._phone_reported(message)
            case AppPhaseChanged():
                self._app_phase_changed(message)
            case SubscriptionsRequested():
                self._subscriptions_requested(message)
            case PlayRequested():
                self._play(message)
            case StopPlaying():
                self._stop_playing(message)
            case PlayOverdue():
                self._play_overdue(message)
            case StrayAudio():
                self._microphone(microphone.StrayAudio())
            case Unserved():
                self._served(message)
            case MicrophoneTick():
                self._microphone(microphone.Tick())
            case AdmitPhone(reply_to):
                self._slow_down(reply_to)
            case LetIn(reply_to):
                self._admit_phone(reply_to)
            case PhoneArrived(connection_id):
                self._phone_arrived(connection_id)
            case AckDue(connection_id):
                self._acknowledge(connection_id)
            case PhoneGone(connection_id):
                self._phone_gone(connection_id)
            case Repeat(connection_id):
                if connection_id == self.state.acked:
                    self._microphone(microphone.PhoneArrived())
                    self._announce(is_answer=True)
            case AppAsked():
                self._app_asked(message)
            case RequestsTick():
                self._requests_tick()
            case TakeReport(said, raw, reply_to):
                is_awaited = self._is_awaited(said)
                self._phone_reported(PhoneReported(said, raw))
                reply_to.tell(is_awaited)
            case TakeDeviceState(report, reply_to):
                reply_to.tell(self._device_reported(report))
            case SetDatetime(datetime, reply_to):
                self._set_datetime(datetime)
                reply_to.tell(True)
            case FindFacts(reply_to, photo_id):
                reply_to.tell(self._facts(photo_id))
            case PreferencesChanged(preferences):
                self._prefer(preferences)
            case ConfigureAudio(format, reply_to):
                self._configure_audio(format, reply_to)
            case Goodbye(reply_to):
                self._hang_up()
                self._end()
                reply_to.tell(True)
            case GraceOver():
                self._end()
            case StartApp(package_name, reply_to):
                self._start_app(package_name, () if reply_to is None else (reply_to,))
            case StopApp(package_name, reply_to):
                self._stop_app(package_name, () if reply_to is None else (reply_to,))
            case ReadTranscripts():
                self._read_transcripts(message)
            case AppFound(package_name, app):
                self._app_found(package_name, app)
            case AppNotFound(package_name, error):
                self._app_not_found(package_name, error)
            case BootAgain():
                self._boot()
            case NeighbourBack(neighbour, is_clean):
                self._neighbour_back(neighbour, is_clean=is_clean)
            case AppDialled():
                self._app_dialled(message)
            case AppStartFailed():
                self._app_start_failed(message)
            case CommitDone(token):
                self._saved(token)
            case CommitFailed(token, retry_after_s):
                self._not_saved(token, retry_after_s)
            case SaveAgain():
                self._save(again=True)
            case MissingOverdue(package_name):
                self._tell_missing(package_name)
            case SaveOverdue(token):
                self._save_overdue(token)
            case AnnounceDue():
                self._announce()
            case UserLoaded(stored):
                to_boot = () if stored.user is None else stored.user.running_apps
                self._prefer(stored.preferences)
                self.state = msgspec.structs.replace(self.state, to_boot=to_boot, saved=to_boot)
                self._boot()
                self._save()  # what was started before the store had answered
            case UserNotLoaded(error):
                self.telemetry.error("user_not_loaded", user=self.user_id, cause=str(error))
                self.set_timer("load", self.settings.reload_user_s, LoadUser())
            case LoadUser():
                self._load_user()
            case Terminated(ref, reason):
                if reason.kind is not StopKind.SHUTDOWN:
                    self._neighbour_gone(ref)
                else:
                    # All is being stopped, and what runs is to run again after the next start; or only its
                    # supervisor crashed. Then this session is still here a moment later.
                    self.set_timer("orphans", ORPHANS_S, LookForOrphans())
            case LookForOrphans():
                self._take_back_orphans()

    def _go_on(self, handed: HandedFacts) -> None:
        """Do what was under way in the process that handed the session over, and had not come to its end."""
        self.telemetry.info("session_taken_over", user=self.user_id, incarnation=self.state.incarnation)
        for package_name in handed.to_start:
            self._start_app(package_name, ())
        if handed.is_announced:
            self.state = msgspec.structs.replace(self.state, announced=wire.user_session(self.state))
        else:
            self.set_timer("announce", self.settings.announce_s, AnnounceDue())
        if self.state.is_ending and not self.state.apps:
            self._leave()

    def _load_user(self) -> None:
        self.start(
            read_user,
            self.user_id,
            self.domain.ports.store,
            self.telemetry,
            then=UserLoaded,
            failed=UserNotLoaded,
            name="load user",
        )

    def _end(self) -> None:
        """The session is over: every app hears so, and the subtree goes when they have gone."""
        if not self.state.is_ending:
            self.telemetry.info("session_ending", user=self.user_id, incarnation=self.state.incarnation)
        self.state = msgspec.structs.replace(self.state, is_ending=True, grace_ends_at=None)
        self.near.peer.tell(SessionOver())
        for entry in self.state.apps.values():
            entry.ref.tell(EndSession("session_ended"))
        self.set_timer("grace", END_AGAIN_S, GraceOver())  # a crash may lose the end, of an app or of this
        if not self.state.apps:
            self._leave()

    # -- the phone ----------------------------------------------------------------------------------------

    def _configure_audio(self, format: AudioFormat, reply_to: ReplyTo[bool]) -> None:
        """The format belongs to a connection: without one there is nothing that it could be said of."""
        phone = self.near.audio_slot.connection
        is_here = phone is not None and phone.is_open
        if is_here:
            self.telemetry.info("audio_configured", user=self.user_id, format=msgspec.to_builtins(format))
            self.perform(self.near.audio_slot.configure, format)
            self.near.link.tell(AudioConfigured(format))
        reply_to.tell(is_here)

    def _hang_up(self) -> None:
        """Close the phone's connection: the link may be stopped before it would hear of it."""
        phone = self.near.audio_slot.connection
        if phone is not None:
            self.perform(self.near.audio_slot.leave_udp)
            self.perform(phone.close, close_codes.SESSION_ENDED.code, close_codes.SESSION_ENDED.reason)

    def _slow_down(self, reply_to: ReplyTo[PhoneWelcome]) -> None:
        """Let the phone in; a little later if this user's phones take over from each other too often."""
        wait_s = 0.0
        if self.state.phone is not None:
            self.state, wait_s = with_takeover(self.state, self.now, self.settings)
        if wait_s:
            self.telemetry.warning("phone_slowed_down", user=self.user_id, wait_s=wait_s)
            self.set_timer(f"let in {self.state.takeovers[-1]}", wait_s, LetIn(reply_to))
        else:
            self._admit_phone(reply_to)

    def _admit_phone(self, reply_to: ReplyTo[PhoneWelcome]) -> None:
        """Say where the connection belongs, and wait for it: the session does not end in between."""
        if self.state.has_left:
            self._leave()  # the roster does not know, or would not have asked
            reply_to.fail(SessionOverError())
            return
        reply_to.tell(PhoneWelcome(self.near.link, self.near.audio_slot))
        if self.state.phone is None:
            ends_at = max(self.state.grace_ends_at or 0.0, self.now + self.settings.empty_session_s)
            self.state = msgspec.structs.replace(self.state, grace_ends_at=ends_at)
            self.set_timer("grace", ends_at - self.now, GraceOver())
        if self.state.is_ending:
            # Its apps are being stopped: they are started again from the stored list.
            self.state = msgspec.structs.replace(self.state, is_ending=False, to_boot=None)
            self._load_user()

    def _phone_arrived(self, connection_id: str) -> None:
        self.cancel_timer("grace")
        if connection_id != self.state.phone:
            self._plays_are_lost()  # the phone before will not answer
        # It is acknowledged anew even if its arrival is told twice: the ack may be what was lost.
        self.state = msgspec.structs.replace(self.state, phone=connection_id, acked=None, grace_ends_at=None)

    def _acknowledge(self, connection_id: str) -> None:
        if connection_id != self.state.phone:
            return
        stamp = self._stamp()
        udp = wire.udp_fields(self.domain.udp.address, self.near.audio_slot.offer_of_udp)
        self._to_phone(wire.connection_ack(self.state, stamp, udp), is_ack=True)
        if self.state.acked == connection_id:
            return
        self.state = msgspec.structs.replace(self.state, acked=connection_id)
        self.near.display.tell(display.PhoneArrived())
        self._microphone(microphone.PhoneArrived())
        self._announce(is_answer=True)
        self._tell_location_tier(is_phone_new=True)
        for entry in self.state.apps.values():
            entry.ref.tell(PhonePresence(is_present=True))
        self._tell_presence(is_here=True)
        self._await_missing()
        self._boot()

    def _phone_gone(self, connection_id: str) -> None:
        if connection_id != self.state.phone:
            return
        self.state = msgspec.structs.replace(
            self.state, phone=None, grace_ends_at=self.now + self.settings.phone_grace_s
        )
        self.set_timer("grace", self.settings.phone_grace_s, GraceOver())
        self._plays_are_lost()
        self.near.display.tell(display.PhoneLost())
        self._microphone(microphone.PhoneLost())
        self._fail_requests()
        for entry in self.state.apps.values():
            entry.ref.tell(PhonePresence(is_present=False))
        self._tell_presence(is_here=False)

    def _phone_reported(self, report: PhoneReported) -> None:
        message = report.message
        match message:
            case from_phone.StartApp(package_name=package_name):
                self._start_app(package_name, ())
            case from_phone.StopApp(package_name=package_name):
                self._stop_app(package_name, ())
            case from_phone.RequestSettings() | from_phone.SettingsUpdateRequest():
                self._to_phone(wire.settings_update(self.state, self._stamp()))
            case from_phone.Vad():
                reported = VoiceBegan() if message.is_speaking else VoiceEnded()
                for stream in self.state.streams.values():
                    stream.ref.tell(reported)
            case from_phone.LocalTranscription():
                self._heard_by_phone(message)
            case from_phone.AudioPlayResponse():
                self._played(message)
            case from_phone.HeadPosition(position=position):
                self.near.display.tell(display.HeadMoved(position == "up"))
            case from_phone.GlassesConnectionState():
                self._glasses_changed(message)
            case from_phone.GlassesBatteryUpdate():
                self._merge_glasses(GlassesInfo(battery_level=message.level, charging=message.charging))
            case (
                from_phone.LocationUpdate()
                | from_phone.PhotoResponse()
                | from_phone.RgbLedControlResponse()
                | from_phone.RtmpStreamStatus()
                | from_phone.KeepAliveAck()
            ):
                self._phone_answered(message, report.raw)
        self._relay(message, report.raw)

    def _facts(self, photo_id: str | None) -> SessionFacts:
        peers = {
            package: entry.connection.peer
            for package, entry in self.state.apps.items()
            if entry.connection is not None
        }
        photo = (
            None if photo_id is None else requests.find(self.state.requests, requests.Kind.PHOTO, photo_id)
        )
        return SessionFacts(states.active(self.state), peers, photo)

"""Bugs in the choice of the source and in the negotiation of a peer."""

from __future__ import annotations

from .mutation import Mutation, by

SOURCES = "tests/actors/test_webrtc_sources.py"
NEGOTIATION = "tests/actors/test_webrtc_negotiation.py"
ACTOR = "tests/actors/test_webrtc_actor.py"
FAILURES = "tests/actors/test_webrtc_failures.py"
RUN = "tests/simulation/test_campaign.py::test_whatever_becomes_of_their_peers_sessions_and_apps_come_through_it"

WHOLE = f"{SOURCES}::test_a_voice_that_changes_its_way_again_and_again_is_routed_whole_and_once"

WEBRTC: dict[str, tuple[Mutation, ...]] = {
    "A change of the source loses nothing and says nothing twice": (
        Mutation(
            "a sample is left out at each change",
            "actors/audio/sources.py",
            "        self._offset = offset\n        self._is_found = True",
            "        self._offset = offset + 2\n        self._is_found = True",
            by(f"{WHOLE}[0]", f"{WHOLE}[1]"),
        ),
        Mutation(
            "what came directly is routed from its newest frame on",
            "actors/audio/sources.py",
            "        place = routed + self._offset\n",
            "        place = direct.end\n",
            by(f"{WHOLE}[0]", f"{WHOLE}[1]"),
        ),
        Mutation(
            "a short piece is believed like a long one",
            "actors/audio/sources.py",
            "_ALIKE_FOR_SHORT: Final = 0.95",
            "_ALIKE_FOR_SHORT: Final = 0.3",
            by(f"{SOURCES}::test_webrtc_that_is_ahead_of_long_frames_waits_for_them"),
        ),
        Mutation(
            "WebRTC that is ahead is not waited for",
            "actors/audio/sources.py",
            "if waited_s < (PATIENT_S if self._is_loud() else DECIDE_S):",
            "if waited_s < DECIDE_S:",
            by(f"{SOURCES}::test_webrtc_that_is_ahead_of_long_frames_waits_for_them"),
        ),
        Mutation(
            "a stall waits for the next frame",
            "actors/audio/actor.py",
            "                self.perform(self.slot.look_at_sources, self.now)\n",
            "",
            by(f"{ACTOR}::test_a_peer_that_brings_nothing_any_more_is_found_out"),
        ),
        Mutation(
            "a peer's end waits for its actor's turn",
            "actors/webrtc/slot.py",
            "        if state is not PeerState.CONNECTED and self.slot.ear is self:",
            "        if False:",
            by(f"{ACTOR}::test_webrtc_wins_and_a_lost_peer_falls_back_at_once_with_nothing_lost_or_twice"),
        ),
    ),
    "A peer is negotiated once, and again after every failure": (
        Mutation(
            "in a glare the phone's offer counts",
            "actors/webrtc/negotiation.py",
            "        elif self.state.exchange in OURS:",
            "        elif False:",
            by(f"{NEGOTIATION}::test_in_a_glare_the_offer_of_the_server_that_offers_counts"),
        ),
        Mutation(
            "offers are taken as fast as they come",
            "actors/webrtc/negotiation.py",
            "        elif self.now < _next_offer_at(self.state, self.settings):",
            "        elif False:",
            by(f"{NEGOTIATION}::test_a_storm_of_offers_is_slowed_and_the_newest_of_them_counts"),
        ),
        Mutation(
            "a peer that was lost is waited for for ever",
            "actors/webrtc/negotiation.py",
            "            connect_until = self.now + self.settings.lost_s",
            "            pass",
            by(f"{NEGOTIATION}::test_a_peer_that_stays_lost_has_failed"),
        ),
        Mutation(
            "a peer outlives the actor that forgot it",
            "actors/webrtc/actor.py",
            "    def started(self, restart: RestartInfo | None) -> None:\n        self.perform(self.slot.close, self.now)",
            "    def started(self, restart: RestartInfo | None) -> None:\n        pass",
            by(f"{FAILURES}::test_an_actor_that_starts_clean_closes_the_peer_it_has_forgotten"),
        ),
        Mutation(
            "a peer outlives its session",
            "actors/webrtc/actor.py",
            "    def stopping(self, reason: StopReason) -> None:\n        self.perform(self.slot.close, self.now)",
            "    def stopping(self, reason: StopReason) -> None:\n        pass",
            by(f"{RUN}[0]"),
        ),
    ),
}

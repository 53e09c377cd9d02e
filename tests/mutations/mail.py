"""Bugs in what happens to messages before they are handled, and instead."""

from __future__ import annotations

from .mutation import Mutation, by

MAIL: dict[str, tuple[Mutation, ...]] = {
    "Messages of one sender arrive in the order they were told": (
        Mutation(
            "the newest message is handled first",
            "_cell.py",
            "message = mail.popleft()",
            "message = mail.pop()",
            by("test_mailbox.py::test_messages_of_one_sender_arrive_in_order"),
        ),
        Mutation(
            "a TaskActor handles the newest message first",
            "_runner.py",
            "message = mail.popleft()",
            "message = mail.pop()",
            by("test_mailbox.py::test_messages_of_one_sender_arrive_in_order"),
        ),
    ),
    "Mail is kept across restarts": (
        Mutation(
            "a restart empties the mailbox",
            "_cell.py",
            "        self.mailbox.configure(",
            "        self.mailbox.mail = None\n        self.mailbox.configure(",
            by("test_mailbox.py::test_restart_keeps_queued_mail"),
        ),
        Mutation(
            "no mail is taken while its actor is down",
            "_cell.py",
            "        self.actor = None\n        if self.parent is None:",
            "        self.actor = None\n        self.mailbox.limit = 0\n"
            "        self.mailbox.is_open = False\n        if self.parent is None:",
            by("test_mailbox.py::test_mail_waits_during_a_backoff_and_an_ask_is_told_when_to_come_back"),
        ),
        Mutation(
            "siblings of a group restart lose their mail",
            "_supervision.py",
            "        for cell in self._line:\n            cell.restart_at",
            "        for cell in self._line:\n            cell.mailbox.mail = None\n"
            "            cell.restart_at",
            by("test_supervision.py::test_mail_of_everyone_restarted_is_kept"),
        ),
    ),
    "Orders overtake all mail": (
        Mutation(
            "a batch is finished before an order that came in it",
            "_cell.py",
            "if done >= limit or mailbox.system is not None:",
            "if done >= limit:",
            by("test_mailbox.py::test_an_order_does_not_wait_for_the_end_of_a_batch"),
        ),
        Mutation(
            "mail is handled before the orders that wait",
            "_cell.py",
            "        if mailbox.system is not None:\n            self._obey()\n        done = 0\n",
            "        if mailbox.system is not None and not (mailbox.mail and self.takes_mail):\n"
            "            self._obey()\n        done = 0\n",
            by("test_mailbox.py::test_an_order_overtakes_mail_that_waits_already"),
        ),
        Mutation(
            "a TaskActor empties its mailbox before it stops",
            "_runner.py",
            "while self._stop_reason is None and self._failure is None:",
            "while (self._stop_reason is None or self._has_work()) and self._failure is None:",
            by("test_mailbox.py::test_orders_overtake_all_mail"),
        ),
    ),
    "Overflow does what its name says; every dropped message is counted": (
        Mutation(
            "a full mailbox takes one more",
            "_mailbox.py",
            "        if len(lane) - self.envelopes >= self.size:\n            self._is_full(len(lane))\n"
            "            if overflow",
            "        if len(lane) - self.envelopes > self.size:\n            self._is_full(len(lane))\n"
            "            if overflow",
            by("test_mailbox.py::test_reject_refuses_what_does_not_fit"),
        ),
        Mutation(
            "the quick way takes one more",
            "_mailbox.py",
            "if mail is None or len(mail) >= self.limit:",
            "if mail is None or len(mail) > self.limit:",
            by("test_mailbox.py::test_reject_refuses_what_does_not_fit"),
        ),
        Mutation(
            "drop_oldest refuses the newest",
            "_mailbox.py",
            'if overflow != "drop_oldest":',
            "if True:",
            by("test_mailbox.py::test_drop_oldest_makes_room_for_the_newest"),
        ),
        Mutation(
            "drop_newest drops the oldest",
            "_mailbox.py",
            'if overflow != "drop_oldest":',
            'if overflow not in ("drop_oldest", "drop_newest"):',
            by("test_mailbox.py::test_drop_newest_keeps_what_waits"),
        ),
        Mutation(
            "block drops instead of refusing a tell",
            "_mailbox.py",
            'if overflow != "drop_oldest":',
            'if overflow not in ("drop_oldest", "block"):',
            by("test_mailbox.py::test_block_refuses_a_tell_and_lets_send_wait"),
        ),
        Mutation(
            "mail from before the start has the default size for ever",
            "_mailbox.py",
            "        self.limit = size if self.mail is not None and not isinstance(overflow, latest) else 0\n",
            "",
            by("test_mailbox.py::test_the_size_holds_where_mail_came_before_the_start"),
        ),
        Mutation(
            "a refused message is not counted",
            "_mailbox.py",
            "                self.cell.dropped(message, DropReason.OVERFLOW)\n"
            "                return False\n            self._drop",
            "                return False\n            self._drop",
            by("test_mailbox.py::test_reject_refuses_what_does_not_fit"),
        ),
        Mutation(
            "a message dropped as the oldest is not counted",
            "_mailbox.py",
            "                self.taken += 1\n"
            "                self.cell.dropped(message, DropReason.OVERFLOW)\n",
            "                self.taken += 1\n",
            by("test_mailbox.py::test_drop_oldest_makes_room_for_the_newest"),
        ),
    ),
    "Of a `latest` mailbox's messages with one key the newest counts, in the oldest's place": (
        Mutation(
            "the older message of a key wins",
            "_mailbox.py",
            "slot.message, replaced = message, slot.message",
            "replaced = message",
            by("test_mailbox.py::test_latest_keeps_the_newest_of_each_key_in_the_oldests_place"),
        ),
        Mutation(
            "the newer message of a key goes to the end",
            "_mailbox.py",
            "            slot.message, replaced = message, slot.message\n",
            "            slot.message, replaced = message, slot.message\n"
            "            for place in [each for each in lane if getattr(each, 'source', None) is slot]:\n"
            "                lane.remove(place)\n                lane.append(place)\n",
            by("test_mailbox.py::test_latest_keeps_the_newest_of_each_key_in_the_oldests_place"),
        ),
        Mutation(
            "a replaced message is lost without a word",
            "_mailbox.py",
            "            self.cell.dropped(replaced, DropReason.REPLACED)\n",
            "",
            by("test_mailbox.py::test_latest_keeps_the_newest_of_each_key_in_the_oldests_place"),
        ),
        Mutation(
            "a key is not freed when its message is handled",
            "_mailbox.py",
            "        del self.waiting[self.key]\n",
            "",
            by("test_mailbox.py::test_latest_frees_its_keys_as_messages_are_handled"),
        ),
        Mutation(
            "messages with a key do not count against the size",
            "_mailbox.py",
            "len(lane) - self.envelopes + len(waiting) >= self.size",
            "len(lane) - self.envelopes >= self.size",
            by("test_mailbox.py::test_latest_is_bounded_in_its_keys_too"),
        ),
        Mutation(
            "what a latest mailbox holds at the end is lost without a word",
            "_mailbox.py",
            "if envelope.__class__ is Envelope and isinstance(envelope.source, _Replaceable)",
            "if False",
            by("test_mailbox.py::test_what_a_latest_mailbox_held_is_not_lost_without_a_word"),
        ),
    ),
    "`send` waits for room in the order of the senders, with a deadline": (
        Mutation(
            "the last sender is let in first",
            "_mailbox.py",
            "sender = senders.popleft()",
            "sender = senders.pop()",
            by("test_mailbox.py::test_block_refuses_a_tell_and_lets_send_wait"),
        ),
        Mutation(
            "a sender waits longer than it said",
            "_ask.py",
            "system.deadlines.add(system.clock.now() + timeout_s, waiting)",
            "system.deadlines.add(system.clock.now() + timeout_s + 5, waiting)",
            by("test_mailbox.py::test_send_gives_up_at_its_deadline"),
        ),
        Mutation(
            "a sender is let in only where a tell was refused before",
            "_mailbox.py",
            "        self.senders.append(sender)\n        self.is_pressed = True\n",
            "        self.senders.append(sender)\n",
            by("test_mailbox.py::test_a_sender_is_let_in_also_where_nothing_was_refused_before"),
        ),
        Mutation(
            "who once had to wait makes all others wait",
            "_mailbox.py",
            "            if senders:\n                return\n            self.senders = None",
            "            return",
            by("test_mailbox.py::test_once_all_senders_are_in_the_next_does_not_wait"),
        ),
        Mutation(
            "a sender that gave up is let in later",
            "_ask.py",
            "        self.is_dead = True\n        self._leave()\n        self.error",
            "        self.is_dead = True\n        self.error",
            by("test_mailbox.py::test_send_gives_up_at_its_deadline"),
        ),
        Mutation(
            "a cancelled sender is let in later",
            "_ask.py",
            "        self._leave()\n        self.mailbox.cell.system.deadlines.drop(self)\n        return",
            "        self.mailbox.cell.system.deadlines.drop(self)\n        return",
            by("test_mailbox.py::test_a_cancelled_send_sends_nothing"),
        ),
        Mutation(
            "a sender to an actor that stops believes that it was heard",
            "_cell.py",
            "            sender.refused(ActorStopped(self.path, reason))",
            "            sender.admitted()",
            by("test_mailbox.py::test_send_hears_that_the_actor_stopped"),
        ),
    ),
    "What an actor asked for itself is never refused and keeps its place": (
        Mutation(
            "a full mailbox refuses a timer's message",
            "_mailbox.py",
            "        self.envelopes += 1\n        self._arrived(Envelope(source))",
            "        if self.depth() >= self.size:\n            return\n        self.envelopes += 1\n"
            "        self._arrived(Envelope(source))",
            by("test_mailbox.py::test_what_the_actor_asked_for_itself_is_never_refused"),
        ),
        Mutation(
            "a timer's message takes the room of another",
            "_mailbox.py",
            "        if len(lane) - self.envelopes >= self.size:\n            self._is_full(len(lane))\n"
            "            if overflow",
            "        if len(lane) >= self.size:\n            self._is_full(len(lane))\n"
            "            if overflow",
            by("test_mailbox.py::test_what_the_actor_asked_for_takes_nobodys_room"),
        ),
        Mutation(
            "a timer's message overtakes what waits",
            "_mailbox.py",
            "self._arrived(Envelope(source))\n\n    def put_system",
            "self._arrived(Envelope(source))\n        self._lane().rotate(1)\n\n    def put_system",
            by("test_mailbox.py::test_what_the_actor_asked_for_itself_is_never_refused"),
        ),
        Mutation(
            "drop_oldest drops a timer's message",
            "_mailbox.py",
            "            if message.__class__ is not Envelope:\n                del lane[place]",
            "            if True:\n                del lane[place]",
            by("test_mailbox.py::test_drop_oldest_never_drops_what_the_actor_asked_for"),
        ),
    ),
    "Depth, high water and the age of the oldest message are known of every mailbox": (
        Mutation(
            "high water is forgotten once the mail is handled",
            "_cell.py",
            "if len(mail) > mailbox.high_water:",
            "if False:",
            by("test_mailbox.py::test_high_water_and_the_age_of_the_oldest_message_are_known"),
        ),
        Mutation(
            "a TaskActor's high water is forgotten",
            "_runner.py",
            "        mailbox.high_water = max(mailbox.high_water, len(mail))\n",
            "",
            by("test_mailbox.py::test_high_water_and_the_age_of_the_oldest_message_are_known"),
        ),
        Mutation(
            "an empty mailbox has an oldest message",
            "_mailbox.py",
            "return self._waiting_since if self.mail else None",
            "return self._waiting_since",
            by("test_mailbox.py::test_high_water_and_the_age_of_the_oldest_message_are_known"),
        ),
        Mutation(
            "the age is counted from the first message for ever",
            "_mailbox.py",
            "            self._waiting_since = marks.popleft()[1]",
            "            marks.popleft()",
            by("test_mailbox.py::test_the_age_is_that_of_what_is_left_after_a_batch"),
        ),
        Mutation(
            "a full mailbox is announced again and again",
            "_mailbox.py",
            "        if not self.is_pressed:\n            self.is_pressed = True\n",
            "        if True:\n            self.is_pressed = True\n",
            by("test_mailbox.py::test_a_full_mailbox_is_announced_once_until_it_is_half_empty"),
        ),
        Mutation(
            "a full mailbox is announced again before it was half empty",
            "_mailbox.py",
            "        if self.depth() * 2 <= self.size:\n",
            "        if self.depth() < self.size:\n",
            by("test_mailbox.py::test_a_mailbox_that_is_not_half_empty_is_not_announced_again"),
        ),
        Mutation(
            "a full mailbox is announced once in its life",
            "_mailbox.py",
            "        if self.depth() * 2 <= self.size:\n            self.is_pressed = False",
            "        return",
            by("test_mailbox.py::test_a_full_mailbox_is_announced_once_until_it_is_half_empty"),
        ),
    ),
    "Nothing is lost without a word: a dead letter has a reason, is counted, kept and announced": (
        Mutation(
            "dead letters are not counted",
            "_dead_letters.py",
            "        self._counts[letter.reason] += 1\n",
            "",
            by("test_mailbox.py::test_reject_refuses_what_does_not_fit"),
        ),
        Mutation(
            "dead letters are not announced",
            "_dead_letters.py",
            "        self._events.publish(letter)\n",
            "",
            by("test_names_events_and_inspection.py::test_the_life_of_an_actor_is_told_in_events"),
        ),
        Mutation(
            "dead letters are kept without a bound",
            "_dead_letters.py",
            "deque(maxlen=RECENT)",
            "deque()",
            by(
                "test_leaks_and_overload.py::test_ten_times_too_much_is_bounded_and_every_drop_is_counted",
            ),
        ),
        Mutation(
            "mail that waits at the end is lost without a word",
            "_cell.py",
            "        for message in messages:\n            self.dropped(message, self.drop_reason())\n",
            "",
            by("test_mailbox.py::test_orders_overtake_all_mail"),
        ),
        Mutation(
            "mail to a dead actor is lost without a word",
            "_mailbox.py",
            "            self.cell.dropped(message, self.cell.drop_reason())\n            return False",
            "            return False",
            by("test_mailbox.py::test_a_message_to_a_stopped_actor_is_a_dead_letter"),
        ),
        Mutation(
            "an actor that never was is called stopped",
            "_cell.py",
            "DropReason.STOPPED if self.was_up else DropReason.NO_SUCH_ACTOR",
            "DropReason.STOPPED",
            by("test_children.py::test_a_name_spawned_twice_in_one_handler_is_refused_the_second_time"),
        ),
        Mutation(
            "a message nobody handles is lost without a word",
            "_actor.py",
            "self._effects().append((None, partial(self._place().dropped, message, DropReason.UNHANDLED)))",
            "self._effects()",
            by("test_children.py::test_mail_to_a_supervisor_is_a_dead_letter"),
        ),
        Mutation(
            "a late answer is lost without a word",
            "_ask.py",
            "            letters.add(DeadLetter(self.target.path, value, DropReason.EXPIRED))\n",
            "",
            by("test_ask.py::test_a_late_answer_is_an_expired_dead_letter"),
        ),
        Mutation(
            "the message in the hand of a cancelled handler is lost without a word",
            "_runner.py",
            "            cell.dropped(message, DropReason.STOPPED)\n",
            "            pass\n",
            by(
                "test_task_actor.py"
                "::test_a_handler_over_its_shutdown_time_is_cancelled_and_its_message_is_a_dead_letter",
            ),
        ),
        Mutation(
            "what is stashed at the end is lost without a word",
            "_cell.py",
            "            stashed, self.stash = self.stash, None\n"
            "            self.mailbox.put_back(stashed)\n        if self.supervision is not None:",
            "            stashed, self.stash = self.stash, None\n            if reason.is_failure:\n"
            "                self.mailbox.put_back(stashed)\n        if self.supervision is not None:",
            by("test_mailbox.py::test_what_is_stashed_when_its_actor_ends_is_a_dead_letter"),
        ),
    ),
    "The stash survives a restart that fails again, and comes back first": (
        Mutation(
            "a crash loses the stash",
            "_cell.py",
            "            stashed, self.stash = self.stash, None\n"
            "            self.mailbox.put_back(stashed)\n        if self.supervision is not None:",
            "            self.stash = None\n        if self.supervision is not None:",
            by("test_mailbox.py::test_stashed_messages_survive_a_restart_that_fails_again"),
        ),
        Mutation(
            "the stash comes back in reverse",
            "_mailbox.py",
            "for message in reversed(messages):",
            "for message in messages:",
            by("test_mailbox.py::test_unstash_brings_everything_back_in_order_before_what_waits"),
        ),
        Mutation(
            "the stash comes back behind what waits",
            "_mailbox.py",
            "        for message in reversed(messages):\n            lane.appendleft(message)",
            "        for message in messages:\n            lane.append(message)",
            by("test_mailbox.py::test_unstash_brings_everything_back_in_order_before_what_waits"),
        ),
        Mutation(
            "a stash has no bound",
            "_actor.py",
            "if cell.stash is not None and len(cell.stash) >= self.mailbox_size:",
            "if False:",
            by("test_mailbox.py::test_a_stash_is_bounded"),
        ),
    ),
    "Postponed messages come back in order in the next state": (
        Mutation(
            "another state brings nothing back",
            "_actor.py",
            "            self.unstash()\n            self.cancel_timer(_STATE_TIMEOUT)",
            "            self.cancel_timer(_STATE_TIMEOUT)",
            by("test_state_machine.py::test_what_is_postponed_comes_back_in_order_in_the_next_state"),
        ),
        Mutation(
            "the same state brings everything back",
            "_actor.py",
            "is_other = state_name(state) != state_name(self.state)",
            "is_other = state != self.state",
            by("test_state_machine.py::test_what_is_postponed_is_not_tried_again_in_the_same_state"),
        ),
        Mutation(
            "members of an enumeration are one state",
            "_tree.py",
            "        return state.name.lower()",
            "        return type(state).__name__",
            by("test_state_machine.py::test_enum_members_are_states_by_their_names"),
        ),
        Mutation(
            "a handler that raises has postponed its message",
            "_actor.py",
            "effects.append((None, partial(cell.put_aside, cell.turn.message)))",
            "cell.put_aside(cell.turn.message)",
            by("test_state_machine.py::test_a_handler_that_raises_has_postponed_nothing"),
        ),
    ),
    "A state timeout comes in its state and in no other": (
        Mutation(
            "a state timeout outlives its state",
            "_actor.py",
            "            self.unstash()\n            self.cancel_timer(_STATE_TIMEOUT)",
            "            self.unstash()",
            by(
                "test_state_machine.py::test_another_state_cancels_the_timeout_and_the_same_one_does_not",
            ),
        ),
        Mutation(
            "a state timeout is not set",
            "_actor.py",
            "            self.set_timer(_STATE_TIMEOUT, timeout_s, message)\n",
            "",
            by("test_state_machine.py::test_a_state_timeout_comes_in_its_state"),
        ),
    ),
}

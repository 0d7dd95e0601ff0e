"""What the facts about batches and their Machines change."""

from dataclasses import dataclass, replace

from lambdo_router.core import journal
from lambdo_router.core.errors import LaunchRejected
from lambdo_router.telemetry.status.batches import Batches
from lambdo_router.telemetry.status.known import Known
from lambdo_router.telemetry.status.troubles import Failures, cut, worse

_OF_APPS = frozenset(
    ("bad_token", "forbidden", "app_not_found", "quota", "connection", "unavailable", "unexpected")
)
"""Codes of launch failures that every profile of the app would meet."""

MachineFact = (
    journal.BatchClosed
    | journal.Launched
    | journal.LaunchFailed
    | journal.MachineEnded
    | journal.WatchFailed
    | journal.ReportRefused
    | journal.ProfileFailing
)


@dataclass(frozen=True, slots=True)
class MachineFold:
    """Takes facts about batches and Machines into account."""

    known: Known
    batches: Batches
    failures: Failures

    def closed(self, fact: journal.BatchClosed, now: float) -> None:
        """A batch is about to be launched."""
        self.batches.closed(fact, now)
        self.known.sign(fact.batch.key.route.name, now)

    def launched(self, fact: journal.Launched, now: float) -> None:
        """Fly has taken a Machine: its app and its profile are well."""
        key = fact.batch.key
        self.batches.launched(fact, now)
        if (app := self.known.apps.get(key.profile.app)) is not None:
            app.trouble = None
        track = self.known.sign(key.route.name, now)
        if track is not None:
            track.tally.add("launches", now)
        for other in self.known.sharing(track, key.profile):
            other.launch_works(now)

    def launch_failed(self, fact: journal.LaunchFailed, now: float) -> None:
        """One attempt has failed. A refusal is of the profile: no route with it launches."""
        key, error, pause = fact.batch.key, fact.error, fact.pause
        batch_id = self.batches.launch_failed(fact, now)
        if error.code in _OF_APPS and (app := self.known.apps.get(key.profile.app)) is not None:
            app.trouble = worse(app.trouble, "launch", error, now, pause)
        failure = self.failures.note(
            *("launch", str(error), error.code, now),
            route=key.route.name,
            queue=key.queue,
            app=key.profile.app,
            batch_id=batch_id,
        )
        track = self.known.sign(key.route.name, now)
        if track is not None:
            track.tally.add("launch_failures", now)
            track.last_failure = failure
        refused = isinstance(error, LaunchRejected)
        for other in self.known.sharing(track, key.profile):
            if refused or other is track:
                other.launch = worse(other.launch, "launch", error, now, pause)
                other.launch_given_up |= refused or pause is None

    def gate_closed(self, fact: journal.ProfileFailing, now: float) -> None:
        """
        The routes that were just found failing know when they are tried again.

        Not those with several apps: another one may take their next Machine.
        """
        for track in self.known.routes.values():
            profile, launch = track.route.profile, track.launch
            if launch is not None and (profile.name, profile.apps) == (fact.profile, (fact.app,)):
                track.launch = replace(launch, next_try=now + fact.pause)

    def ended(self, fact: journal.MachineEnded, now: float) -> None:
        """A Machine has ended, well or not."""
        key = fact.batch.key
        self.batches.ended(fact, now)
        track = self.known.sign(key.route.name, now)
        if track is not None and fact.failure:
            track.tally.add("failed", now)
            track.run = worse(track.run, "run", fact.failure, now)
        elif track is not None:
            track.tally.add("succeeded", now)
            track.run_works(now)
        if not fact.failure and not fact.reported:
            return
        reported = f"the Machine reported {fact.reported} of {len(fact.batch.entries)} as failed"
        failure = self.failures.note(
            *("machine", fact.failure or reported, fact.kind, now),
            route=key.route.name,
            queue=key.queue,
            app=key.profile.app,
            machine_id=fact.machine_id,
            batch_id=fact.batch_id,
        )
        if track is not None:
            track.last_failure = failure

    def watch_failed(self, fact: journal.WatchFailed, now: float) -> None:
        """Fly could not be asked about Machines; about all of an app, if none is named."""
        error, app = fact.error, self.known.apps.get(fact.app)
        self.failures.note(
            *("watch", str(error), error.code, now), app=fact.app, machine_id=fact.machine_id
        )
        if fact.machine_id is None and app is not None:
            app.trouble = worse(app.trouble, "watch", error, now, fact.pause)

    def report_refused(self, fact: journal.ReportRefused, now: float) -> None:
        """What came as a report was not taken; whoever sent it named the batch."""
        self.failures.note("report", fact.why, str(fact.status), now, batch_id=cut(fact.batch_id))

    def broken(self, fact: journal.InternalError, now: float) -> None:
        """A defect of this program has ended what was done for a batch, if it is one."""
        text = f"a defect of lambdo-router ({type(fact.error).__name__}); its log has more"
        self.batches.broken(fact.message_ids, text, now)

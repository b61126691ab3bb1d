from fluxtracker.commands import JobCommand
from snapshots.services import check_snapshot


class Command(JobCommand):
    help = "What the schedule runs every 30 minutes: take today's snapshot if it is time and there is none."
    job = check_snapshot
